import { randomUUID } from "node:crypto"
import type { PublicKey } from "../actors/Ed25519.ts"
import type { Room, SessionPort } from "../actors/SessionPort.ts"
import type { Dialect, ErrorFrame, RegisteredFrame, ServerFrame } from "../protocol/Frames.ts"
import type { TreeLogRow } from "../storage/TreeLog.ts"
import { sealFrame, type SocketHub } from "./SocketHub.ts"
import type { SubscribingSession } from "./Subscription.ts"
import { eventFrame } from "./TreeEvents.ts"

/** The socket's side of a session. */
export interface SessionOwner {
  readonly hub: SocketHub
  readonly dialect: Dialect
  readonly peer: string
  readonly write: (text: string) => void
  readonly room: Room
  readonly whenRoom: (then: () => void) => void
  readonly setAside: (bytes: number) => void
  readonly settled: (frames: number, bytes: number) => void
  /** Whether a newer session of the same node lives on this socket. */
  readonly isReplaced: (session: Session) => boolean
  /** `registered` is about to be sent. */
  readonly onAccepted: (session: Session) => void
  readonly onEnded: (session: Session, error: ErrorFrame | null) => void
}

/**
 * One node's attachment to a socket. Small, since 10,000 of them sit idle: no closure, no timer.
 * - T1 what its actor has not settled is given back at its end, once: credit never leaks.
 * - T2 after the end nothing is sent.
 * - T3 an error says what it is about, so that a recording of it ends nothing else (docs/protocol.md §8): the session, or, as
 *   the answer to its registration and nothing else, the `client_nonce` and the key of that.
 */
export class Session implements SessionPort, SubscribingSession {
  readonly id = randomUUID()
  readonly appId: string
  readonly owner: SessionOwner
  /** Verifies the node's frames; null where they are not signed (level `open`, legacy). */
  readonly key: PublicKey | null
  readonly pingIntervalMs: number
  /** The session of the same node on the same socket that this one replaces, until that is decided. */
  previous: Session | null
  /** Its registration has been answered, and its socket knows. */
  isDecided = false
  /** What `registered` says; null until it has been sent. */
  incarnation: number | null = null
  /** Of the registration under way (v1). */
  #clientNonce: string | null
  #registered: { readonly text: string; readonly frame: RegisteredFrame } | null = null
  #restricted = false
  #frames = 0
  #bytes = 0
  #state: "asking" | "accepted" | "ended" = "asking"

  constructor(
    owner: SessionOwner,
    appId: string,
    key: PublicKey | null,
    pingIntervalMs: number,
    previous: Session | null,
    clientNonce: string | null
  ) {
    this.owner = owner
    this.appId = appId
    this.key = key
    this.pingIntervalMs = pingIntervalMs
    this.previous = previous
    this.#clientNonce = clientNonce
  }

  get dialect(): Dialect {
    return this.owner.dialect
  }

  get peer(): string {
    return this.owner.peer
  }

  get terms(): SessionPort["terms"] {
    const { hub } = this.owner
    return { limits: hub.granted, pingIntervalMs: this.pingIntervalMs, serverKey: hub.serverKey }
  }

  get room(): Room {
    return this.owner.room
  }

  whenRoom(then: () => void): void {
    this.owner.whenRoom(then)
  }

  setAside(bytes: number): void {
    this.owner.setAside(bytes)
  }

  get isSigned(): boolean {
    return this.key !== null
  }

  get isAsking(): boolean {
    return this.#state === "asking"
  }

  get isAccepted(): boolean {
    return this.#state === "accepted"
  }

  get isEnded(): boolean {
    return this.#state === "ended"
  }

  /** It is for stopping only (PROTOCOL §4). */
  get isRestricted(): boolean {
    return this.#restricted
  }

  seal(frame: ServerFrame, application?: string): string {
    const text = sealFrame(this.owner.hub, frame, this.isSigned, application)
    if (frame.type === "registered") this.#registered = { text, frame }
    return text
  }

  send(frame: ServerFrame): string {
    const text = this.seal(frame.type === "error" ? this.#bind(frame) : frame)
    if (frame.type === "error") this.owner.hub.telemetry.framesRefused.add(frame.code)
    this.sendSealed(text)
    return text
  }

  sendSealed(text: string): void {
    if (this.isEnded) return
    if (text === this.#registered?.text) {
      // Before the client can answer to it: from `registered` on it may use the limits that it grants.
      const { incarnation, only } = this.#registered.frame
      this.#registered = null
      if (this.#state === "asking") {
        this.#state = "accepted"
        this.#clientNonce = null
        this.incarnation = incarnation
        if (only !== undefined) this.restrict()
        this.owner.onAccepted(this)
      }
    }
    this.owner.write(text)
  }

  sendRow(row: TreeLogRow): void {
    this.send(eventFrame(this.appId, row, this.owner.hub.eventLimits))
  }

  sendEnd(error: ErrorFrame): void {
    this.send(error)
  }

  restrict(): void {
    this.#restricted = true
  }

  settle(frames: number, bytes: number): void {
    // What a closed session held has been given back already (T1).
    const someFrames = Math.min(frames, this.#frames)
    const someBytes = Math.min(bytes, this.#bytes)
    this.#frames -= someFrames
    this.#bytes -= someBytes
    if (someFrames > 0) this.owner.settled(someFrames, someBytes)
  }

  /** A frame of this node goes to its actor, who will settle it. */
  lend(bytes: number): void {
    this.#frames++
    this.#bytes += bytes
  }

  /** The actor could not take it. */
  takeBack(bytes: number): void {
    this.#frames--
    this.#bytes -= bytes
  }

  end(error: ErrorFrame | null): void {
    if (this.isEnded) return
    // Replaced on this very socket: the client has moved on knowingly and must not be told to stay away.
    if (error !== null && !this.owner.isReplaced(this)) this.send({ ...error, app_id: this.appId })
    this.finish()
    this.owner.onEnded(this, error)
  }

  /** The answer to its registration is no (docs/protocol.md §8). */
  refuse(error: ErrorFrame): void {
    const nonce = this.#clientNonce
    const key = this.key?.text
    this.send({
      ...error,
      app_id: this.appId,
      ...(nonce === null ? {} : { client_nonce: nonce }),
      ...(nonce === null || key === undefined ? {} : { pub_key: key })
    })
    this.finish()
  }

  /**
   * T3. Before `registered` there is no session to be named, and what else arrives on the socket may be somebody's who is
   * in the way: the answer to it must not pass as the answer to the registration.
   */
  #bind(error: ErrorFrame): ErrorFrame {
    return this.dialect === "legacy" || !this.isAccepted ? error : { ...error, session: this.id }
  }

  /** The end without a word to anybody. */
  finish(): void {
    if (this.isEnded) return
    this.#state = "ended"
    this.#registered = null
    this.owner.hub.watch.end(this)
    this.settle(this.#frames, this.#bytes)
  }
}
