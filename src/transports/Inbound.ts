import { importPublicKey } from "../actors/Ed25519.ts"
import type { LossCause } from "../actors/SessionPort.ts"
import { type FrameProblem, isFrameProblem } from "../protocol/FrameDecoder.ts"
import type {
  ControlResultFrame,
  Decoded,
  DeclareFrame,
  DisconnectFrame,
  ErrorCode,
  MessageFrame,
  SubscribeFrame
} from "../protocol/Frames.ts"
import { type Arrival, Arrivals, check, sealingOf } from "./Arrivals.ts"
import { declare } from "./Declaration.ts"
import { Place } from "./Place.ts"
import type { ReadGate } from "./ReadGate.ts"
import { askAdmission, keyOf, type Registrar, registrationProblem, type RegistrationFrame } from "./Registration.ts"
import type { Session } from "./Session.ts"
import { errorFrame } from "./SocketHub.ts"

/** The socket whose frames these are. */
export interface InboundOwner extends Registrar {
  readonly gate: ReadGate
  readonly isLost: boolean
  /** Registrations under way. */
  readonly asking: number
  /** The head waits, or nothing is left. */
  readonly onReleased: (isEmpty: boolean) => void
}

type SessionFrame = MessageFrame | DisconnectFrame | ControlResultFrame | DeclareFrame | SubscribeFrame

const isRegistration = (decoded: Decoded): decoded is Decoded<RegistrationFrame> =>
  decoded.frame.type === "register" || decoded.frame.type === "re_register"

const seqOf = (frame: SessionFrame): number | undefined =>
  frame.type === "message" ? frame.header.seq : frame.type === "disconnect" ? frame.seq : undefined

/**
 * What has arrived on one socket, on its way to the actors. Invariants:
 * - N1 frames reach their actors in the order in which they arrived, whenever their verification completes.
 * - N2 no frame that arrived is dropped while its node's actor may take it: a full mailbox stops the reading (P17).
 * - N3 every session that was asked for gets one `SocketLost`, after all of its frames, unless its actor ended it.
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

  push(content: Decoded | FrameProblem, bytes: number): void {
    const owner = this.#owner
    owner.gate.take(bytes)
    if (isFrameProblem(content) || owner.dialect === "legacy") this.#arrivals.push(content, bytes, "none")
    else this.#checkEarly(content, this.#arrivals.push(content, bytes, "unchecked"))
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
  #checkEarly(decoded: Decoded, arrival: Arrival): void {
    if (isRegistration(decoded)) {
      arrival.sealing = sealingOf(decoded.raw)
      if (arrival.sealing !== "none") check(arrival, decoded.raw, importPublicKey(keyOf(decoded.frame)), this)
      return
    }
    const key = this.#owner.sessions.get(decoded.frame.app_id)?.key ?? null
    if (key !== null) check(arrival, decoded.raw, key, this)
  }

  /** False: it stays at the head. */
  #dispatch(arrival: Arrival): boolean {
    const { content } = arrival
    if (arrival.sealing === "checking") return false
    if (isFrameProblem(content)) return this.#refuse(arrival, content.code, content.message, content.appId, content.seq)
    return isRegistration(content)
      ? this.#register(content, arrival)
      : this.#deliver(content as Decoded<SessionFrame>, arrival)
  }

  #register(decoded: Decoded<RegistrationFrame>, arrival: Arrival): boolean {
    const owner = this.#owner
    const { gate, hub, sessions } = owner
    if (owner.isLost) return this.#done(arrival)
    const current = sessions.get(decoded.frame.app_id)
    const problem = registrationProblem(owner, decoded.frame, arrival)
    if (problem !== null) {
      if (problem.code === "bad_signature") hub.telemetry.badSignatures.add()
      owner.refuse(problem)
      return this.#done(arrival)
    }
    const mayAsk = current?.isAsking !== true && owner.asking < hub.limits.registrationsPerSocket
    if (!mayAsk || !this.place.take()) {
      gate.pause("admission")
      return false
    }
    if (!askAdmission(owner, decoded, arrival)) return this.#block()
    this.place.pass()
    return this.#done(arrival)
  }

  #deliver(decoded: Decoded<SessionFrame>, arrival: Arrival): boolean {
    const { hub, sessions } = this.#owner
    const { frame } = decoded
    const session = sessions.get(frame.app_id)
    const refuse = (code: ErrorCode, message: string) =>
      this.#refuse(arrival, code, message, frame.app_id, seqOf(frame))
    if (session === undefined)
      return refuse("not_registered", "this node has no session on this socket: register first")
    if (session.key !== null) {
      if (arrival.key !== session.key && arrival.key?.text !== session.key.text) {
        check(arrival, decoded.raw, session.key, this)
        return false
      }
      if (arrival.sealing !== "good") {
        hub.telemetry.badSignatures.add()
        return refuse("bad_signature", "the signature does not verify under the key of this node's session")
      }
    }
    switch (frame.type) {
      case "message":
      case "disconnect": {
        const data = decoded as Decoded<MessageFrame | DisconnectFrame>
        session.lend(arrival.bytes)
        if (hub.tell(frame.app_id, { _tag: "Data", session, decoded: data })) return true
        session.takeBack(arrival.bytes)
        return this.#block()
      }
      case "control_result": {
        const result = decoded as Decoded<ControlResultFrame>
        if (!hub.tell(frame.app_id, { _tag: "ControlResult", session, decoded: result })) return this.#block()
        return this.#done(arrival)
      }
      case "declare":
        if (!session.isAccepted) return refuse("not_registered", "declare after registered has come")
        return declare(session, frame, () => this.#owner.settled(1, arrival.bytes)) || this.#block()
      case "subscribe":
        return refuse("unavailable", "subscribe arrives with a later version of this server")
    }
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

  #block(): false {
    this.#owner.gate.pause("mailbox")
    this.#owner.hub.retries.add(this)
    return false
  }
}
