import { Deferred, Effect } from "effect"
import type { Admission, IntentAnswer, NodeMessage } from "../../src/actors/NodeMessage.ts"
import type { SessionPort } from "../../src/actors/SessionPort.ts"
import type { ErrorFrame, RegisterFrame, ReRegisterFrame } from "../../src/protocol/Frames.ts"

export interface Told {
  readonly appId: string
  readonly message: NodeMessage
}

type Registration = Extract<NodeMessage, { readonly _tag: "Register" | "ReRegister" }>
type Data = Extract<NodeMessage, { readonly _tag: "Data" }>

/** Stands in for the actors: takes down what it is told, and answers as the test says. */
export class FakeActors {
  readonly told: Array<Told> = []
  readonly sessions = new Map<string, SessionPort>()
  /** False: the mailbox of this node is full. */
  takes: (appId: string, message: NodeMessage) => boolean = () => true
  /** null: no answer yet, see `pending`. */
  admits: (message: Registration) => ErrorFrame | "accept" | null = () => "accept"
  declares: (message: Extract<NodeMessage, { readonly _tag: "Declare" }>) => IntentAnswer | null = (message) => ({
    _tag: "Done",
    appId: message.envelope.appId,
    created: true
  })
  /** What happens to a data frame: by default it is acked and settled at once. */
  receives: (message: Data) => void = (message) => this.ack(message)
  readonly pending: Array<Registration> = []
  /** What `registered` says of whoever is accepted from now on. */
  incarnation = 1
  only: "cancel" | null = null

  readonly tell = (appId: string, message: NodeMessage): boolean => {
    if (!this.takes(appId, message)) return false
    this.told.push({ appId, message })
    switch (message._tag) {
      case "Register":
      case "ReRegister": {
        const answer = this.admits(message)
        if (answer === null) this.pending.push(message)
        else if (answer === "accept") this.accept(message)
        else this.reject(message, answer)
        break
      }
      case "Data":
        this.receives(message)
        break
      case "Declare": {
        const answer = this.declares(message)
        if (answer !== null) Deferred.doneUnsafe(message.reply, Effect.succeed(answer))
        break
      }
    }
    return true
  }

  accept(message: Registration): void {
    const { decoded, session } = message
    const frame: RegisterFrame | ReRegisterFrame = decoded.frame
    const text = session.seal({
      type: "registered",
      app_id: frame.app_id,
      parent_id: null,
      child_pub_key: frame.type === "register" ? frame.child_pub_key : frame.pub_key,
      server_pub_key: session.terms.serverKey,
      ...(frame.nonce === undefined ? {} : { nonce: frame.nonce }),
      ...(frame.client_nonce === undefined ? {} : { client_nonce: frame.client_nonce }),
      incarnation: this.incarnation,
      epoch: 1,
      session: session.id,
      last_seq: 0,
      ...(this.only === null ? {} : { only: this.only }),
      limits: session.terms.limits,
      ping_interval_ms: session.terms.pingIntervalMs
    })
    const older = this.sessions.get(frame.app_id)
    this.sessions.set(frame.app_id, session)
    if (older !== undefined && older !== session) {
      older.end({ type: "error", code: "replaced", message: "replaced", app_id: frame.app_id, retryable: false })
    }
    session.sendSealed(text)
    const { incarnation, only } = this
    const admission: Admission = { _tag: "Accepted", epoch: 1, incarnation, level: "open", only }
    Deferred.doneUnsafe(message.reply, Effect.succeed(admission))
  }

  reject(message: Registration, error: ErrorFrame): void {
    Deferred.doneUnsafe(message.reply, Effect.succeed<Admission>({ _tag: "Rejected", error }))
  }

  ack({ decoded, session }: Data): void {
    const seq = decoded.frame.type === "message" ? decoded.frame.header.seq : decoded.frame.seq
    if (seq !== undefined) session.send({ type: "ack", app_id: decoded.frame.app_id, incarnation: 1, seq })
    session.settle(1, decoded.bytes)
  }

  of<T extends NodeMessage["_tag"]>(tag: T, appId?: string): ReadonlyArray<Extract<NodeMessage, { readonly _tag: T }>> {
    return this.told
      .filter((told) => told.message._tag === tag && (appId === undefined || told.appId === appId))
      .map((told) => told.message as Extract<NodeMessage, { readonly _tag: T }>)
  }

  /** Seqs of the data frames that reached a node's actor, in order. */
  seqs(appId: string): ReadonlyArray<number> {
    return this.of("Data", appId).map(({ decoded: { frame } }) =>
      frame.type === "message" ? frame.header.seq : (frame.seq ?? -1)
    )
  }

  losses(appId?: string): ReadonlyArray<string> {
    return this.of("SocketLost", appId).map(({ cause }) => cause)
  }
}

export const refusal = (code: ErrorFrame["code"], retryable = false): ErrorFrame => ({
  type: "error",
  code,
  message: `scripted ${code}`,
  retryable
})
