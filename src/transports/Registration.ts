import { Deferred } from "effect"
import type { Admission, NodeMessage } from "../actors/NodeMessage.ts"
import { decodeEnvelope, type Envelope, isEnvelopeProblem } from "../protocol/Envelope.ts"
import type { Decoded, ErrorFrame, Level, RegisterFrame, ReRegisterFrame } from "../protocol/Frames.ts"
import { isWeaker } from "../protocol/Level.ts"
import type { Arrival } from "./Arrivals.ts"
import { levelProblem } from "./OfferedLevel.ts"
import { Session, type SessionOwner } from "./Session.ts"
import { errorFrame, type SocketHub } from "./SocketHub.ts"

export type RegistrationFrame = RegisterFrame | ReRegisterFrame

/** The socket's side of a registration. */
export interface Registrar extends SessionOwner {
  /** Weakest level that may register here. */
  readonly floor: Level
  /** Of this socket's `hello`. */
  readonly nonce: string
  readonly sessions: Map<string, Session>
  /** Nodes that have registered here, in v1 by using the nonce. */
  readonly nodesSeen: number
  readonly hasSeen: (appId: string) => boolean
  /** Of a session's frame. */
  readonly refuse: (error: ErrorFrame) => void
  readonly refuseRegistration: (error: ErrorFrame) => void
  readonly onAsking: (session: Session) => void
  /** The mailbox was full: as if it had not been tried. */
  readonly onNotAsked: (session: Session) => void
  readonly onAdmission: (session: Session, admission: Admission) => void
}

/** When a registration that could not be dealt with should come again, milliseconds. */
const RETRY_MS = 1000

export const keyOf = (frame: RegistrationFrame): string =>
  frame.type === "register" ? frame.child_pub_key : frame.pub_key

/** 0 = off; anything else is brought into the bounds; the default where the client does not ask. */
export const negotiatePing = (hub: Pick<SocketHub, "limits" | "pingInterval">, asked: number | undefined): number =>
  asked === undefined
    ? hub.pingInterval
    : asked === 0
      ? 0
      : Math.min(Math.max(asked, hub.limits.pingMinMs), hub.limits.pingMaxMs)

/**
 * What stands between a registration and its actor, in this order: level floor, signature under the frame's own key,
 * the pinned server key, the nonce of this socket's `hello`, single use (PROTOCOL §3, §4; docs/decisions/0020). Null:
 * it may go on.
 */
export const registrationProblem = (
  registrar: Registrar,
  frame: RegistrationFrame,
  arrival: Arrival
): ErrorFrame | null => {
  const { dialect, floor, hub, nonce } = registrar
  const appId = frame.app_id
  if (isWeaker(arrival.sealing === "none" ? "open" : "signed", floor)) {
    return errorFrame("level_too_weak", tooWeak(registrar), { appId })
  }
  if (arrival.sealing === "broken") {
    return errorFrame("bad_signature", "the signature does not verify under this frame's own key", { appId })
  }
  if (dialect === "legacy") return null
  if (frame.server_key === undefined ? arrival.sealing !== "none" : frame.server_key !== hub.serverKey) {
    return errorFrame(
      "registration_failed",
      `server_key is not this server's key (${hub.serverKey}): the envelope was made for another server`,
      { appId }
    )
  }
  // Retryable, on another socket: a node that was given an old `hello`, or whose frame was doubled on its way, is not lost.
  if (frame.nonce !== nonce) {
    const message = "nonce is not the one of this socket's hello: open another socket"
    return errorFrame("registration_failed", message, { appId, retryAfterMs: RETRY_MS })
  }
  if (registrar.hasSeen(appId)) {
    const message = "this node has used this socket's nonce: open another socket"
    return errorFrame("registration_failed", message, { appId, retryAfterMs: RETRY_MS })
  }
  return null
}

const tooWeak = ({ dialect, floor, hub }: Registrar): string =>
  floor !== hub.minLevel
    ? "this request came through a proxy or from another site's page, and level open is for direct connections to a loopback listener: sign the frames"
    : dialect === "legacy"
      ? `this server takes no node below level ${floor}: use a client of protocol version 1 (subprotocol trails.v1)`
      : `this server takes no node below level ${floor}: sign every frame, sig being its last member`

const lateAdmission = (appId: string): Admission => ({
  _tag: "Rejected",
  error: errorFrame("unavailable", "the registration could not be stored in time", { appId, retryAfterMs: RETRY_MS })
})

const envelopeOf = (frame: RegistrationFrame): Envelope | ErrorFrame | null => {
  if (frame.type !== "register" || frame.info === undefined) return null
  const envelope = decodeEnvelope(frame.info)
  if (isEnvelopeProblem(envelope)) {
    return errorFrame("registration_failed", `info: ${envelope.problem}`, { appId: frame.app_id })
  }
  const problem = levelProblem(envelope.secLevel)
  return problem === null ? envelope : errorFrame("level_too_weak", problem, { appId: frame.app_id })
}

const isError = (value: Envelope | ErrorFrame | null): value is ErrorFrame => value !== null && "retryable" in value

const messageFor = (
  session: Session,
  floor: Level,
  decoded: Decoded<RegistrationFrame>,
  envelope: Envelope | null,
  reply: Deferred.Deferred<Admission>
): NodeMessage => {
  // The floor goes along: a signature by any key lifts a frame above it here, only the actor knows the node's level.
  const common = { session, verified: session.isSigned, floor, reply }
  return decoded.frame.type === "register"
    ? { _tag: "Register", decoded: decoded as Decoded<RegisterFrame>, envelope, ...common }
    : { _tag: "ReRegister", decoded: decoded as Decoded<ReRegisterFrame>, ...common }
}

/**
 * A refusal bound to the attempt that it answers (docs/protocol.md §8). Of a frame that does not verify nobody knows whose
 * attempt it was: whoever stripped its signature must not get a refusal that its sender would believe. The key goes along:
 * anybody can sign a registration of this node with a key of his own, and copy the nonce.
 */
export const answerTo = (frame: RegistrationFrame, { sealing }: Arrival, error: ErrorFrame): ErrorFrame =>
  frame.client_nonce === undefined || sealing !== "good"
    ? error
    : { ...error, client_nonce: frame.client_nonce, pub_key: keyOf(frame) }

/**
 * Asks the node's actor. False: its mailbox is full, nothing has happened. The caller holds a place among the
 * handshakes, that the answer gives back. What the node sends after this frame may follow at once: the actor's mailbox
 * keeps the order.
 */
export const askAdmission = (registrar: Registrar, decoded: Decoded<RegistrationFrame>, arrival: Arrival): boolean => {
  const { hub } = registrar
  const { frame } = decoded
  const appId = frame.app_id
  const envelope = envelopeOf(frame)
  const key = arrival.sealing === "good" ? arrival.key : null
  const problem = isError(envelope)
    ? envelope
    : registrar.nodesSeen >= hub.limits.nodesPerSocket && !registrar.hasSeen(appId)
      ? errorFrame("overloaded", "this socket has registered its share of nodes: open another one", { appId })
      : null
  if (problem !== null) {
    hub.handshakes.leave()
    registrar.refuseRegistration(answerTo(frame, arrival, problem))
    return true
  }
  const ping = negotiatePing(hub, frame.type === "register" ? frame.ping_interval_ms : undefined)
  const session = new Session(
    registrar,
    appId,
    key,
    ping,
    registrar.sessions.get(appId) ?? null,
    frame.client_nonce ?? null
  )
  const reply = Deferred.makeUnsafe<Admission>()
  registrar.onAsking(session)
  if (!hub.tell(appId, messageFor(session, registrar.floor, decoded, isError(envelope) ? null : envelope, reply))) {
    registrar.onNotAsked(session)
    return false
  }
  const late = lateAdmission(appId)
  hub.answers.wait(reply, late, (admission) => {
    hub.handshakes.leave()
    registrar.onAdmission(session, admission)
    // Its actor may still accept it: the client has been told otherwise, so that session is lost already.
    if (admission === late) hub.tell(appId, { _tag: "SocketLost", session, cause: "server" })
  })
  return true
}
