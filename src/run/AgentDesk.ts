import { randomUUID } from "node:crypto"
import type { AgentAnswer, AgentRequest } from "../client/AgentMessage.ts"
import { JsonText } from "../client/JsonText.ts"
import { refused } from "./Agent.ts"
import type { Said } from "./EndReport.ts"
import type { RunIdentity } from "./RunIdentity.ts"
import type { Home } from "./RunKey.ts"
import type { RunNode } from "./RunNode.ts"

type Request<Op extends AgentRequest["op"]> = Extract<AgentRequest, { readonly op: Op }>

/** How long a request waits for the run to know who it is, milliseconds; the caller asks again. */
const SETTLE_MS = 2000

const isSame = (a: Home, b: Home): boolean =>
  a.serverEp === b.serverEp && a.serverPubKey === b.serverPubKey && a.secLevel === b.secLevel

/**
 * What a run does for the processes below it (AgentMessage.ts).
 * - D1 the envelope that the command was started with is given to the first that asks for it; each further one gets an id of
 *   its own.
 * - D2 what is said by `trails result` or `trails error` is kept until the command's end, and the first counts.
 */
export class AgentDesk {
  readonly #identity: RunIdentity
  readonly #node: RunNode
  /** Of the envelope in the command's environment. */
  readonly #commandId = randomUUID()
  readonly #commandName: string
  readonly #guess: Home
  #isClaimed = false
  #said: Said | null = null
  #isOver = false

  /** `commandName`: of the node that the command is when it uses a client. */
  constructor(identity: RunIdentity, node: RunNode, commandName: string) {
    this.#identity = identity
    this.#node = node
    this.#commandName = commandName
    this.#guess = identity.home
  }

  /** TRAILS_INFO of the command: right, unless the server turns out to be another than was thought. */
  get commandInfo(): string {
    return this.#certify(this.#commandId, this.#guess)
  }

  /** D2 */
  get said(): Said | null {
    return this.#said
  }

  /** The command has ended. */
  close(): void {
    this.#isOver = true
  }

  async answer(request: AgentRequest): Promise<AgentAnswer> {
    if (this.#isOver) return refused("ended", `the run ${this.#identity.name} has ended`)
    switch (request.op) {
      case "claim":
        return await this.#claim(request)
      case "child":
        return await this.#child(request)
      case "report":
        return this.#report(request)
      case "whoami": {
        const { appId, name } = this.#identity
        return { ok: true, appId, name, attached: this.#node.isAttached, known: await this.#node.isExpected() }
      }
    }
  }

  async #claim({ appId }: Request<"claim">): Promise<AgentAnswer> {
    // Somebody else's certificate, of a program's own child for example.
    if (appId !== null && appId !== this.#commandId) return { ok: true, info: null }
    const isFirst = !this.#isClaimed
    this.#isClaimed = true
    await this.#identity.settled(SETTLE_MS)
    const { home } = this.#identity
    if (!isFirst) return { ok: true, info: this.#certify(randomUUID(), home) }
    return { ok: true, info: appId !== null && isSame(home, this.#guess) ? null : this.#certify(this.#commandId, home) }
  }

  async #child({ appId, childKey, name, tags, traceparent }: Request<"child">): Promise<AgentAnswer> {
    const identity = this.#identity
    if (!(await identity.settled(SETTLE_MS)))
      return refused("unavailable", `the run ${identity.name} around this one does not know its own server yet`)
    return {
      ok: true,
      info: identity.key.certify(identity.appId, identity.home, { appId, childKey, name, tags, traceparent })
    }
  }

  #report({ kind, payload }: Request<"report">): AgentAnswer {
    const json = JsonText.parse(payload)
    if (json === null) return refused("not_json", "it is not JSON")
    if (kind === "status") {
      const queued = this.#node.status(json)
      if (queued.queued) return { ok: true }
      const code = queued.reason === "inactive" ? "ended" : queued.reason
      return refused(code, queued.message)
    }
    if (this.#said !== null)
      return refused(
        "ended",
        `the run ${this.#identity.name} has had its ${this.#said.kind} already: the first one counts`
      )
    this.#said = { kind, payload: json }
    return { ok: true }
  }

  #certify(appId: string, home: Home): string {
    return this.#identity.key.certify(this.#identity.appId, home, { appId, name: this.#commandName })
  }
}
