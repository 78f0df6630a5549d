import { importPublicKey } from "../actors/Ed25519.ts"
import type { LossCause } from "../actors/SessionPort.ts"
import { type FrameProblem, isFrameProblem, peekAppId } from "../protocol/FrameDecoder.ts"
import type {
  CapabilitiesFrame,
  ControlResultFrame,
  Decoded,
  DeclareFrame,
  DisconnectFrame,
  ErrorCode,
  ErrorFrame,
  MessageFrame,
  SubscribeFrame
} from "../protocol/Frames.ts"
import { type Arrival, Arrivals, check, sealingOf } from "./Arrivals.ts"
import { declare } from "./Declaration.ts"
import { Place } from "./Place.ts"
import type { ReadGate } from "./ReadGate.ts"
import {
  answerTo,
  askAdmission,
  keyOf,
  type Registrar,
  registrationProblem,
  type RegistrationFrame
} from "./Registration.ts"
import type { Session } from "./Session.ts"
import { errorFrame } from "./SocketHub.ts"

/** The socket whose frames these are. */
export interface InboundOwner extends Registrar {
  readonly gate: ReadGate
  /** Why the socket is gone, or null. */
  readonly lost: LossCause | null
  /** Registrations under way. */
  readonly asking: number
  /** One node's session ends by our own decision; its actor has been told. */
  readonly onExpelled: (session: Session, error: ErrorFrame) => void
  /** The head waits, or nothing is left. */
  readonly onReleased: (isEmpty: boolean) => void
}

type SessionFrame =
  | MessageFrame
  | DisconnectFrame
  | ControlResultFrame
  | DeclareFrame
  | SubscribeFrame
  | CapabilitiesFrame

const isRegistration = (decoded: Decoded): decoded is Decoded<RegistrationFrame> =>
  decoded.frame.type === "register" || decoded.frame.type === "re_register"

/** What only an accepted session may send, and only for its own incarnation. */
type AcceptedFrame = ControlResultFrame | DeclareFrame | SubscribeFrame | CapabilitiesFrame

const unfit = (session: Session, frame: AcceptedFrame): readonly [ErrorCode, string] | null => {
  if (session.incarnation === null) return ["not_registered", `${frame.type} after registered has come`]
  if (frame.incarnation !== session.incarnation)
    return ["superseded", `this session is of incarnation ${session.incarnation}`]
  return session.isRestricted && frame.type !== "control_result"
    ? ["terminal", `this node was told to stop: there is no ${frame.type} for it any more`]
    : null
}

const seqOf = (frame: SessionFrame): number | undefined =>
  frame.type === "message" ? frame.header.seq : frame.type === "disconnect" ? frame.seq : undefined

/**
 * What has arrived on one socket, on its way to the actors. Invariants:
 * - N1 frames reach their actors in the order in which they arrived, whenever their verification completes.
 * - N2 no frame that arrived is dropped while its node's actor may take it: a full mailbox stops the reading (P17).
 * - N3 every session that was asked for gets one `SocketLost`, after all of its frames, unless its actor ended it.
 * - N7 nothing is answered about a seq, nor taken by an actor, that is not proven to be its node's: a frame of a signed
 *   session that does not verify ends that session, whose later acks could otherwise cover the frame that was meant.
 */
export class Inbound {
  readonly place: Place
  readonly #owner: InboundOwner
  readonly #arrivals = new Arrivals()
  #releasing = false

  constructor(owner: InboundOwner) {
    this.#owner = owner
    this.place = new Place(owner.hub.handshakes, this)
  }

  get isEmpty(): boolean {
    return this.#arrivals.head === null
  }

  push(content: Decoded | FrameProblem, text: string, bytes: number): void {
    const owner = this.#owner
    owner.gate.take(bytes)
    if (owner.dialect === "legacy") this.#arrivals.push(content, text, bytes, "none")
    else this.#checkEarly(this.#arrivals.push(content, text, bytes, "unchecked"))
    this.release()
  }

  /** N1, N2: releases the head as long as it can be released. */
  release(): void {
    if (this.#releasing) return
    const { gate } = this.#owner
    this.#releasing = true
    for (let head = this.#arrivals.head; head !== null; head = this.#arrivals.head) {
      if (!this.#dispatch(head)) break
      this.#arrivals.shift()
      gate.resume("admission")
      gate.resume("mailbox")
    }
    this.#releasing = false
    this.#owner.onReleased(this.isEmpty)
  }

  retry(): void {
    this.release()
  }

  /** N3; to be called when all frames have been taken. False: an actor could not take it yet. */
  tellLost(sessions: Map<string, Session>, cause: LossCause): boolean {
    const { hub } = this.#owner
    for (const [appId, session] of sessions) {
      for (const one of session.previous === null ? [session] : [session.previous, session]) {
        if (one.isEnded) continue
        if (!hub.tell(appId, { _tag: "SocketLost", session: one, cause })) return this.#block()
        one.finish()
      }
      sessions.delete(appId)
      hub.sessions--
    }
    return true
  }

  /** Starts a verification where the key is known, so that the thread pool works while the head waits. */
  #checkEarly(arrival: Arrival): void {
    const { content } = arrival
    if (!isFrameProblem(content) && isRegistration(content)) {
      arrival.sealing = sealingOf(content.raw)
      if (arrival.sealing !== "none") check(arrival, importPublicKey(keyOf(content.frame)), this)
      return
    }
    const key = this.#sessionOf(arrival)?.key ?? null
    if (key !== null) check(arrival, key, this)
  }

  #sessionOf({ content, text }: Arrival): Session | undefined {
    const appId = isFrameProblem(content) ? (content.appId ?? peekAppId(text)) : content.frame.app_id
    return appId === null ? undefined : this.#owner.sessions.get(appId)
  }

  /** False: it stays at the head. */
  #dispatch(arrival: Arrival): boolean {
    const { content } = arrival
    if (arrival.sealing === "checking") return false
    if (isFrameProblem(content)) return this.#refuseProblem(content, arrival)
    return isRegistration(content)
      ? this.#register(content, arrival)
      : this.#deliver(content as Decoded<SessionFrame>, arrival)
  }

  #refuseProblem(problem: FrameProblem, arrival: Arrival): boolean {
    const session = this.#sessionOf(arrival)
    const seal = session === undefined ? "good" : this.#sealOf(session, arrival)
    if (seal === "pending") return false
    if (seal === "broken") return this.#expel(session!, arrival)
    const seq = this.#mayName(session) ? problem.seq : undefined
    return this.#refuse(arrival, problem.code, problem.message, session?.appId ?? problem.appId, seq)
  }

  #register(decoded: Decoded<RegistrationFrame>, arrival: Arrival): boolean {
    const owner = this.#owner
    const { hub, sessions } = owner
    if (owner.lost !== null) return this.#done(arrival)
    const current = sessions.get(decoded.frame.app_id)
    const problem = registrationProblem(owner, decoded.frame, arrival)
    if (problem !== null) {
      if (problem.code === "bad_signature") hub.telemetry.badSignatures.add()
      owner.refuseRegistration(answerTo(decoded.frame, arrival, problem))
      return this.#done(arrival)
    }
    const mayAsk = current?.isAsking !== true && owner.asking < hub.limits.registrationsPerSocket
    if (!mayAsk || !this.place.take(decoded.frame.type === "re_register")) return this.#await()
    if (!askAdmission(owner, decoded, arrival)) return this.#block()
    this.place.pass()
    return this.#done(arrival)
  }

  #deliver(decoded: Decoded<SessionFrame>, arrival: Arrival): boolean {
    const { hub, sessions } = this.#owner
    const { frame } = decoded
    const session = sessions.get(frame.app_id)
    if (session === undefined) {
      const seq = this.#mayName(session) ? seqOf(frame) : undefined
      const message = "this node has no session on this socket: register first"
      return this.#refuse(arrival, "not_registered", message, frame.app_id, seq)
    }
    // Which of the two sessions it belongs to is decided by the answer to the newer one's registration.
    if (session.previous !== null) return this.#await()
    const seal = this.#sealOf(session, arrival)
    if (seal === "pending") return false
    if (seal === "broken") return this.#expel(session, arrival)
    switch (frame.type) {
      case "message":
      case "disconnect": {
        const data = decoded as Decoded<MessageFrame | DisconnectFrame>
        session.lend(arrival.bytes)
        if (hub.tell(frame.app_id, { _tag: "Data", session, decoded: data })) return true
        session.takeBack(arrival.bytes)
        return this.#block()
      }
      case "control_result":
      case "declare":
      case "subscribe":
      case "capabilities": {
        const refusal = unfit(session, frame)
        return refusal === null
          ? this.#serve(session, frame, decoded, arrival)
          : this.#refuse(arrival, ...refusal, frame.app_id)
      }
    }
  }

  #serve(session: Session, frame: AcceptedFrame, decoded: Decoded, arrival: Arrival): boolean {
    switch (frame.type) {
      case "control_result": {
        const result = decoded as Decoded<ControlResultFrame>
        const taken = this.#owner.hub.tell(frame.app_id, { _tag: "ControlResult", session, decoded: result })
        return taken ? this.#done(arrival) : this.#block()
      }
      case "capabilities": {
        const capable = decoded as Decoded<CapabilitiesFrame>
        const taken = this.#owner.hub.tell(frame.app_id, { _tag: "Capabilities", session, decoded: capable })
        return taken ? this.#done(arrival) : this.#block()
      }
      case "declare":
        return declare(session, frame, () => this.#owner.settled(1, arrival.bytes)) || this.#block()
      case "subscribe": {
        const refusal = this.#owner.hub.watch.subscribe(session, frame)
        if (refusal !== null) this.#owner.refuse(refusal)
        return this.#done(arrival)
      }
    }
  }

  #sealOf(session: Session, arrival: Arrival): "pending" | "good" | "broken" {
    const { key } = session
    if (key === null) return "good"
    if (arrival.key !== key && arrival.key?.text !== key.text) {
      check(arrival, key, this)
      return "pending"
    }
    return arrival.sealing === "good" ? "good" : "broken"
  }

  /** N7: an answer without a session is signed all the same, and would pass as one about a session elsewhere. */
  #mayName(session: Session | undefined): boolean {
    return session !== undefined || this.#owner.dialect === "legacy"
  }

  /** N7, N3: behind what was taken of it already. */
  #expel(session: Session, arrival: Arrival): boolean {
    const { appId } = session
    const { hub, lost } = this.#owner
    if (!session.isDecided) return this.#await()
    if (!hub.tell(appId, { _tag: "SocketLost", session, cause: lost ?? "server" })) return this.#block()
    hub.telemetry.badSignatures.add()
    const message =
      "a frame does not verify under the key of this node's session, which has ended: register again on another " +
      "socket, and send again what was not acked"
    this.#owner.onExpelled(session, errorFrame("bad_signature", message, { appId }))
    return this.#done(arrival)
  }

  #refuse(arrival: Arrival, code: ErrorCode, message: string, appId?: string, seq?: number): true {
    this.#owner.refuse(errorFrame(code, message, { appId, seq }))
    return this.#done(arrival)
  }

  /** Nothing of it is left to be settled. */
  #done(arrival: Arrival): true {
    this.#owner.gate.give(1, arrival.bytes)
    return true
  }

  /** Until a registration on this socket is answered. */
  #await(): false {
    this.#owner.gate.pause("admission")
    return false
  }

  #block(): false {
    this.#owner.gate.pause("mailbox")
    this.#owner.hub.retries.add(this)
    return false
  }
}
