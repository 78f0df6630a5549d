import { randomBytes } from "node:crypto"
import type { Duplex } from "node:stream"
import type { Admission } from "../actors/NodeMessage.ts"
import type { LossCause, Room } from "../actors/SessionPort.ts"
import { decodeClientFrame, isFrameProblem } from "../protocol/FrameDecoder.ts"
import type { Dialect, ErrorFrame, Level } from "../protocol/Frames.ts"
import { Backlog } from "./Backlog.ts"
import { CountWindow } from "./CountWindow.ts"
import { Heartbeat } from "./Heartbeat.ts"
import { Inbound, type InboundOwner } from "./Inbound.ts"
import { ReadGate } from "./ReadGate.ts"
import type { Session } from "./Session.ts"
import { errorFrame, type Member, sealFrame, type SocketHub } from "./SocketHub.ts"
import type { SocketOwner, TrailsSocket } from "./TrailsSocket.ts"

export interface Greeting {
  readonly dialect: Dialect
  /** Weakest level that may register here. */
  readonly floor: Level
  readonly peer: string
}

/**
 * One socket and the nodes on it. Invariants:
 * - N4 before the first accepted registration: `strangerBytes`, `strangerMs`, nothing written (P16).
 * - N5 a frame that belongs to no session (`hello`, some errors) is signed on every v1 socket: nobody's level is known.
 * - N6 why the socket ended is decided once: by the peer, by silence, by us.
 * - N8 refused frames close no socket that carries a node (PROTOCOL §3): beyond `errors` they are counted and no longer
 *   answered. A socket without a node is closed at `strangerErrors`.
 */
export class Connection implements SocketOwner, InboundOwner, Member {
  readonly hub: SocketHub
  readonly dialect: Dialect
  readonly floor: Level
  readonly peer: string
  /** Of this socket's `hello`; empty for legacy clients. */
  readonly nonce: string
  readonly gate: ReadGate
  readonly sessions = new Map<string, Session>()
  readonly #socket: TrailsSocket
  readonly #inbound: Inbound
  readonly #backlog: Backlog
  readonly #heartbeat: Heartbeat
  readonly #errors = new CountWindow()
  /** Nodes whose registration here is decided or under way. */
  #seen: Set<string> | null = null
  #asking = 0
  #registered = false
  #strangerBytes = 0
  /** Since when it has no node, monotonic milliseconds. */
  #emptySince: number
  #lost: LossCause | null = null
  #isLossNoted = false
  #lostAt = 0

  constructor(hub: SocketHub, socket: TrailsSocket, stream: Duplex, greeting: Greeting) {
    this.hub = hub
    this.dialect = greeting.dialect
    this.floor = greeting.floor
    this.peer = greeting.peer
    this.nonce = greeting.dialect === "v1" ? randomBytes(32).toString("base64") : ""
    this.gate = new ReadGate(socket, hub.limits, hub.budget)
    this.#socket = socket
    this.#inbound = new Inbound(this)
    this.#backlog = new Backlog(socket, hub.limits.eventBacklogBytes)
    this.#inbound.place.inherit()
    this.#heartbeat = new Heartbeat(socket)
    this.#emptySince = hub.now()
    hub.connections.add(this)
    socket.own(this, stream)
    if (greeting.dialect === "v1") this.#greet()
  }

  get asking(): number {
    return this.#asking
  }

  get lost(): LossCause | null {
    return this.#lost
  }

  /** Nodes that have registered here. */
  get nodesSeen(): number {
    return this.#seen?.size ?? 0
  }

  hasSeen(appId: string): boolean {
    return this.#seen?.has(appId) ?? false
  }

  /** Whether a newer session of the same node lives on this socket. */
  isReplaced(session: Session): boolean {
    const current = this.sessions.get(session.appId)
    return current !== undefined && current !== session
  }

  // From the socket.

  onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#lost !== null) return
    if (isBinary) return this.#refuseSocket(errorFrame("bad_frame", "frames are text messages"), 1008)
    const bytes = data.length
    if (!this.#registered && !this.#mayStrangerSend(bytes)) return
    const text = data.toString("utf8")
    const content = decodeClientFrame(text, bytes, this.dialect)
    const problem = isFrameProblem(content)
    this.hub.telemetry.framesReceived.add(problem ? "invalid" : content.frame.type)
    if (problem && content.fatal) return this.#refuseSocket(errorFrame(content.code, content.message), 1007)
    this.#inbound.push(content, text, bytes)
  }

  onEnding(): void {
    this.#noteLoss()
  }

  onPeerClosing(): void {
    this.#lose("peer")
  }

  onViolation(code: number): void {
    const most = this.#registered ? this.hub.maxFrame : this.hub.limits.strangerBytes
    this.#sendError(
      code === 1009
        ? errorFrame("too_large", `a frame may have ${most} bytes here`)
        : errorFrame("bad_frame", "the message breaks RFC 6455, or is not UTF-8")
    )
    this.#lose("server")
  }

  onClosed(): void {
    this.#lose("peer")
    this.hub.connections.delete(this)
  }

  // From sessions and their actors.

  write(text: string): void {
    this.#socket.write(text)
    // Later, since the actor whose turn this may be must not hear of it in the middle.
    if (this.#socket.bufferedAmount > this.hub.limits.outboundBytes) process.nextTick(cutOff, this)
  }

  get room(): Room {
    if (this.#lost !== null) return "gone"
    return this.#backlog.isFull ? "none" : "some"
  }

  whenRoom(then: () => void): void {
    this.#backlog.whenRoom(then)
  }

  setAside(bytes: number): void {
    this.#backlog.setAside(bytes)
  }

  settled(frames: number, bytes: number): void {
    this.gate.give(frames, bytes)
    this.hub.retries.wake()
  }

  onAsking(session: Session): void {
    this.sessions.set(session.appId, session)
    if (session.previous === null) this.hub.sessions++
    this.#asking++
    ;(this.#seen ??= new Set()).add(session.appId)
  }

  /** The mailbox was full: as if it had not been tried. */
  onNotAsked(session: Session): void {
    this.#asking--
    this.#unsee(session)
    this.#restore(session)
  }

  /** `registered` is about to be sent. */
  onAccepted(session: Session): void {
    if (!this.#registered) {
      this.#registered = true
      this.#socket.maxPayload = this.hub.maxFrame
      // From here on it is as its nodes wish.
      this.#heartbeat.remove(this.hub.pingInterval, this.sessions.values())
    }
    this.#heartbeat.add(session.pingIntervalMs, this.hub.now())
  }

  onAdmission(session: Session, admission: Admission): void {
    this.#asking--
    session.isDecided = true
    if (admission._tag === "Rejected") this.#reject(session, admission.error)
    else {
      // Its actor has ended the older one, or never held it.
      session.previous?.finish()
      session.previous = null
    }
    this.#inbound.release()
  }

  onEnded(session: Session, error: ErrorFrame | null): void {
    if (this.sessions.get(session.appId) !== session) return
    this.#forget(session)
    if (this.sessions.size > 0 || this.#asking > 0 || !this.#inbound.isEmpty) return
    // The nonce is spent for who was here; a node that shall come back needs a new socket anyway.
    this.close(error?.code === "going_away" ? 1001 : 1000, error?.code ?? "", "server")
  }

  // From the inbound frames.

  /** N8: a refusal by the transport. */
  refuse(error: ErrorFrame): void {
    this.#refuse(error, error.app_id === undefined ? undefined : this.sessions.get(error.app_id))
  }

  /** N8: of a registration, by the transport. It says nothing about a session that its node has here, or has asked for. */
  refuseRegistration(error: ErrorFrame): void {
    this.#refuse(error, undefined)
  }

  #refuse(error: ErrorFrame, session: Session | undefined): void {
    if (this.#lost !== null) return
    const count = this.#count()
    // Silence about a seq would let a later cumulative ack cover it.
    const isOwed = error.seq !== undefined && this.dialect === "v1"
    if (isOwed || count <= this.hub.limits.errors) this.#sendError(error, session)
    else this.hub.telemetry.framesRefused.add(error.code)
    this.#judge(count)
  }

  /** The nonce is spent for this node, as for one that its actor has ended: it needs another socket. */
  onExpelled(session: Session, error: ErrorFrame): void {
    if (this.#lost === null) {
      this.#count()
      session.send(error)
    }
    session.finish()
    this.#forget(session)
    if (this.sessions.size === 0 && this.#asking === 0) this.close(1008, error.code, "server")
  }

  /** The head waits, or nothing is left. */
  onReleased(isEmpty: boolean): void {
    if (!isEmpty) return
    if (this.#lost !== null) this.#inbound.tellLost(this.sessions, this.#lost)
    else if (this.#registered) this.gate.resume("stranger")
    else if (this.#strangerBytes > this.hub.limits.strangerBytes && this.#asking === 0) {
      this.close(1008, "too much before a registration", "server")
    }
  }

  // From the server.

  sweep(now: number, late: boolean): void {
    const { limits } = this.hub
    if (this.#lost !== null) {
      if (now - this.#lostAt > 2 * limits.closeMs) this.#socket.terminate()
      return
    }
    if (this.sessions.size === 0 && this.#inbound.isEmpty) {
      const most = this.#registered ? limits.desertedMs : limits.strangerMs
      if (now - this.#emptySince >= most) this.close(1008, "no node has registered on this socket in time", "server")
      return
    }
    if (this.#heartbeat.isDead(now, late || this.gate.isPaused)) this.cut("heartbeat")
  }

  /** Tells every node to come back later, and reads no more. */
  goAway(retryAfterMs: () => number): void {
    if (this.#lost !== null) return
    this.gate.pause("drain")
    for (const session of this.sessions.values()) session.send(goingAway(retryAfterMs(), session.appId))
    if (this.sessions.size === 0) this.#sendError(goingAway(retryAfterMs()))
  }

  /** Closing handshake by our own decision. */
  close(code: number, reason: string, cause: LossCause): void {
    if (this.#lost !== null) return
    this.#socket.shut(code, reason)
    this.#lose(cause)
  }

  /** No closing handshake: the peer does not read, or does not live. */
  cut(cause: LossCause): void {
    this.#lose(cause)
    this.#socket.terminate()
  }

  #greet(): void {
    const { hub } = this
    this.#socket.write(
      sealFrame(
        hub,
        {
          type: "hello",
          nonce: this.nonce,
          server_pub_key: hub.serverKey,
          server_time: hub.wallClock(),
          level: hub.minLevel,
          ping_interval_ms: hub.pingInterval
        },
        true
      )
    )
    this.#heartbeat.add(hub.pingInterval, hub.now())
  }

  /** N4. While a registration waits for its answer the rest of it is left to the kernel. */
  #mayStrangerSend(bytes: number): boolean {
    const { strangerBytes } = this.hub.limits
    this.#strangerBytes += bytes
    if (this.#strangerBytes <= strangerBytes) return true
    if (this.#asking > 0 || !this.#inbound.isEmpty) {
      this.gate.pause("stranger")
      return true
    }
    this.#refuseSocket(errorFrame("too_large", `register within the first ${strangerBytes} bytes`), 1009)
    return false
  }

  #reject(session: Session, error: ErrorFrame): void {
    if (error.retryable) this.#unsee(session)
    session.refuse(error)
    this.#restore(session)
    this.#judge(this.#count())
  }

  /** It may register here as if for the first time. */
  #unsee(session: Session): void {
    if (session.previous === null) this.#seen?.delete(session.appId)
  }

  /** The session that this one would have replaced goes on, if there is one. */
  #restore(session: Session): void {
    if (this.sessions.get(session.appId) !== session) return
    const { previous } = session
    if (previous !== null && !previous.isEnded) this.sessions.set(session.appId, previous)
    else this.#forget(session)
  }

  /** Refusals in the current window, this one included. */
  #count(): number {
    return this.#errors.add(this.hub.now(), this.hub.limits.errorWindowMs)
  }

  /** N8 */
  #judge(count: number): void {
    if (count < this.hub.limits.strangerErrors) return
    for (const { isAccepted, previous } of this.sessions.values()) {
      if (isAccepted || previous?.isAccepted === true) return
    }
    this.close(1008, "too many refused frames", "server")
  }

  #forget(session: Session): void {
    if (this.sessions.delete(session.appId)) this.hub.sessions--
    this.#heartbeat.remove(session.pingIntervalMs, this.sessions.values())
    if (this.#registered && this.sessions.size === 0) this.#emptySince = this.hub.now()
  }

  #sendError(error: ErrorFrame, session?: Session): void {
    if (session !== undefined) session.send(error)
    else {
      this.hub.telemetry.framesRefused.add(error.code)
      this.write(sealFrame(this.hub, error, this.dialect === "v1"))
    }
  }

  #refuseSocket(error: ErrorFrame, code: number): void {
    this.#sendError(error)
    this.close(code, error.code, "server")
  }

  /** At once: when many are lost together, their turns come later than the first verdicts. */
  #noteLoss(): void {
    if (this.#isLossNoted || this.#lost !== null || this.sessions.size === 0) return
    this.#isLossNoted = true
    this.hub.handshakes.noteLoss()
  }

  /** N6 */
  #lose(cause: LossCause): void {
    if (this.#lost !== null) return
    if (cause === "peer") this.#noteLoss()
    this.#lost = cause
    this.#lostAt = this.hub.now()
    this.#inbound.place.close()
    this.gate.close()
    this.#inbound.release()
  }
}

const cutOff = (connection: Connection): void => connection.cut("server")

const goingAway = (retryAfterMs: number, appId?: string): ErrorFrame =>
  errorFrame("going_away", "this server is stopping: reconnect after retry_after_ms", { appId, retryAfterMs })
