import { encodeBase64 } from "../protocol/Base64.ts"
import { encodeFrame } from "../protocol/FrameEncoder.ts"
import type { ClientFrame, ErrorFrame, RegisteredFrame, ServerFrame } from "../protocol/Frames.ts"
import { Advertisement, type Capable } from "./Advertisement.ts"
import { Backoff } from "./Backoff.ts"
import type { Place } from "./HandOver.ts"
import { isAboutSession, isComeBack } from "./ErrorScope.ts"
import type { Identity } from "./Identity.ts"
import type { Greeting, Link, LinkMember, Outgoing } from "./Link.ts"
import type { LinkPool } from "./LinkPool.ts"
import type { Platform } from "./Platform.ts"
import { registrationFrame } from "./registrationFrame.ts"
import { ServerClock } from "./ServerClock.ts"

/** `waiting`: between attempts; `joining`: on a link, not yet registered; `stopped`: for good. */
export type AttachmentState = "waiting" | "joining" | "attached" | "draining" | "stopped"

/** What the server has granted by `registered`. */
export interface Session {
  readonly id: string
  readonly incarnation: number
  readonly epoch: number
  /** It exists only to tell this node to stop (PROTOCOL §4). */
  readonly restricted: boolean
}

export interface AttachmentOptions {
  /** What the node takes at present. */
  readonly capable: () => Capable
  readonly pingIntervalMs: number | null
  /** Of the session that another process had of this node. */
  readonly resume: Place | null
}

/** The node whose attachment it is. */
export interface AttachmentOwner {
  readonly lastAcked: () => number
  /** A session begins; `lastSeq`: everything up to it is stored. */
  readonly onAttached: (session: Session, lastSeq: number) => void
  /** The session has ended: nothing is under way any more. */
  readonly onDetached: () => void
  /** In the session: `ack`, `declared`, `control`, `event`, and errors that do not end it. */
  readonly onFrame: (frame: ServerFrame) => void
  /** It is over for good. */
  readonly onStopped: (error: ErrorFrame | null, reason: string) => void
  readonly next: () => Outgoing | null
}

/** From `register` to its answer, milliseconds: the server itself gives up after 30 s. */
const ANSWER_MS = 35_000
/** How long acks of what was under way are still waited for when the server drains, milliseconds. */
const DRAIN_MS = 2000
/** While a node waits to end, no pause is longer, milliseconds. */
const HURRY_MS = 250

/** Refusals of one registration on one link: then another link, whose `hello` may be the true one. */
const REFUSALS = 3

/**
 * One node's way to the server: registers, keeps the session, comes back when it is lost (PROTOCOL §3, §4, §6).
 * - T1 a session begins with a `registered` that names this node, its key and both nonces of this very exchange.
 * - T2 the epoch never falls; an older one is nobody's.
 * - T3 above `open` only an error that is bound to this exchange (`client_nonce` and our own key, since anybody can have a
 *   registration of his own refused that copies the nonce) or session (`session`) ends anything for good: a recorded one
 *   proves nothing. Unbound ones end the attempt.
 * - T4 `superseded` ends a node only as the answer to its own `re_register`. In a session every frame of ours is of that
 *   session's incarnation: it answers somebody who plays frames of an earlier one again, and settles nothing of ours.
 */
export class Attachment implements LinkMember {
  readonly identity: Identity
  /** Before the first `hello` this machine's. */
  clock: ServerClock
  readonly #platform: Platform
  readonly #pool: LinkPool
  readonly #owner: AttachmentOwner
  readonly #options: AttachmentOptions
  readonly #backoff: Backoff
  #state: AttachmentState = "waiting"
  #link: Link | null = null
  #nonce: string | null = null
  #clientNonce: string | null = null
  #incarnation: number | null = null
  #epoch = 0
  /** Of the latest session, milliseconds; 0: none yet, or none is wanted. */
  #pingMs = 0
  readonly #advertisement: Advertisement
  #session: Session | null = null
  #attachedAt = 0
  #attachments = 0
  #hurry = false
  #retryAfterMs = 0
  /** Retryable refusals on this link. */
  #refusals = 0
  /** While it pauses between two registrations on the same link: what the server asked for. */
  #asksAfterMs: number | null = null
  #stopTimer: () => void = () => {}

  constructor(
    platform: Platform,
    pool: LinkPool,
    identity: Identity,
    owner: AttachmentOwner,
    options: AttachmentOptions
  ) {
    this.#platform = platform
    this.#pool = pool
    this.identity = identity
    this.#owner = owner
    this.#options = options
    this.#incarnation = options.resume?.incarnation ?? null
    this.#epoch = options.resume?.epoch ?? 0
    this.clock = new ServerClock(platform, platform.wallClock())
    this.#backoff = new Backoff(platform.random)
    this.#advertisement = new Advertisement(platform, options.capable)
  }

  get state(): AttachmentState {
    return this.#state
  }

  get session(): Session | null {
    return this.#session
  }

  /** Sessions so far. */
  get attachments(): number {
    return this.#attachments
  }

  /** Null: this node has never had a session. */
  get place(): Place | null {
    return this.#incarnation === null ? null : { incarnation: this.#incarnation, epoch: this.#epoch }
  }

  get maxFrame(): number | null {
    return this.#session === null ? null : (this.#link?.limits.max_frame ?? null)
  }

  start(): void {
    if (this.#state === "waiting") this.#join()
  }

  /** Comes back sooner from now on: somebody waits for the end. */
  hurry(): void {
    this.#hurry = true
    if (this.#state === "waiting") this.#wait(this.#retryAfterMs)
    else if (this.#asksAfterMs !== null) this.#askAfter(this.#asksAfterMs)
  }

  /** Leaves the server without another word. */
  stop(): void {
    this.#stop(null, "this node was shut down")
  }

  /** There is something to send. */
  wake(): void {
    if (this.#state === "attached") this.#link?.wake(this)
  }

  /** Everything goes out in this turn: the process ends. */
  flush(): void {
    if (this.#state !== "attached") return
    this.#link?.wake(this)
    this.#link?.flush()
  }

  /** A frame of the session that takes no seq; false when there is no session. `application`: see `encodeFrame`. */
  send(frame: ClientFrame, application: string | null = null): boolean {
    if (this.#state !== "attached" || this.#link === null) return false
    this.#link.send(this.identity, encodeFrame(frame, application))
    return true
  }

  /** What the node takes may have changed. */
  advertise(): void {
    this.#advertisement.soon(() => this.#advertise())
  }

  credit(credit: { readonly frames: number; readonly bytes: number }): void {
    this.#link?.credit(credit)
  }

  // From the link.

  onTurn({ clock, nonce, pingIntervalMs }: Greeting): void {
    this.#asksAfterMs = null
    this.#nonce = nonce
    this.clock = clock
    this.#clientNonce = encodeBase64(this.#platform.cryptography.random(32))
    // What is asked for may be granted already when the answer is on its way.
    if (pingIntervalMs > 0) this.#link?.expect(Math.max(pingIntervalMs, this.#options.pingIntervalMs ?? 0))
    this.#timer(ANSWER_MS, () => this.#fail("the registration was not answered in time"))
    const frame = registrationFrame(this.#platform, this.identity, {
      nonce,
      clientNonce: this.#clientNonce,
      incarnation: this.#incarnation,
      lastAcked: this.#owner.lastAcked(),
      advertisement: this.#advertisement,
      pingIntervalMs: this.#options.pingIntervalMs
    })
    this.#link?.send(this.identity, encodeFrame(frame))
  }

  onFrame(frame: ServerFrame): void {
    if (frame.type === "registered") this.#onRegistered(frame)
    else if (frame.type === "error" && this.#state === "joining") this.#onRefused(frame)
    else if (frame.type === "error") this.#onError(frame)
    else if (this.#session !== null) {
      // The way is proven: what was sent has been stored.
      if (frame.type === "ack") this.#backoff.reset()
      this.#owner.onFrame(frame)
    }
  }

  onLost(reason: string, retryAfterMs: number): void {
    this.#detach()
    this.#link = null
    // T1: an answer that comes on the next link, before this node has asked there, is not to that question.
    this.#clientNonce = null
    this.#asksAfterMs = null
    if (this.#state === "stopped") return
    this.#lastReason = reason
    this.#retryAfterMs = Math.max(retryAfterMs, this.#retryAfterMs)
    this.#wait(this.#retryAfterMs)
  }

  next(): Outgoing | null {
    return this.#state === "attached" ? this.#owner.next() : null
  }

  /** Why the last attempt ended, for people. */
  get lastReason(): string {
    return this.#lastReason
  }

  #lastReason = "not connected yet"

  #join(): void {
    this.#stopTimer()
    this.#state = "joining"
    this.#retryAfterMs = 0
    this.#refusals = 0
    this.#link = this.#pool.linkFor(this.identity.target, this.identity.appId, this.#pingMs)
    this.#link.join(this)
  }

  #onRegistered(frame: RegisteredFrame): void {
    if (this.#state !== "joining" || this.#link === null || this.#clientNonce === null) return
    const problem = this.#distrust(frame)
    if (problem !== null) return this.#link.distrust(`registered ${problem}`)
    this.#stopTimer()
    this.#state = "attached"
    this.#clientNonce = null
    this.#incarnation = frame.incarnation
    this.#epoch = frame.epoch
    this.#pingMs = frame.ping_interval_ms
    this.#session = {
      id: frame.session,
      incarnation: frame.incarnation,
      epoch: frame.epoch,
      restricted: frame.only === "cancel"
    }
    this.#attachedAt = this.#platform.monotonic()
    this.#attachments++
    this.#link.grant(frame.limits, frame.ping_interval_ms)
    this.#link.answered(this, "accepted")
    this.#owner.onAttached(this.#session, frame.last_seq)
    this.#advertise()
    this.wake()
  }

  #advertise(): void {
    if (this.#state !== "attached" || this.#session === null || this.#session.restricted) return
    const { id, incarnation } = this.#session
    const change = this.#advertisement.take(id)
    if (change !== null) this.send({ type: "capabilities", app_id: this.identity.appId, incarnation, ...change })
  }

  /** T1, T2: what is wrong with it, or null. */
  #distrust(frame: RegisteredFrame): string | null {
    const { envelope, publicKey, target } = this.identity
    if (frame.nonce !== this.#nonce || frame.client_nonce !== this.#clientNonce) return "has other nonces than ours"
    if (frame.parent_id !== envelope.parentId || frame.child_pub_key !== publicKey) return "is about another node"
    if (target.verify !== null && frame.server_pub_key !== target.serverKey) return "names another server key"
    if (frame.epoch <= this.#epoch) return "is of an older epoch"
    return this.#incarnation !== null && frame.incarnation !== this.#incarnation ? "is of another incarnation" : null
  }

  /** T3 */
  #isBound(error: ErrorFrame): boolean {
    if (this.identity.target.verify === null) return true
    if (this.#session !== null) return error.session === this.#session.id
    return error.client_nonce === this.#clientNonce && error.pub_key === this.identity.publicKey
  }

  #onRefused(error: ErrorFrame): void {
    if (this.#link === null || this.#clientNonce === null) return
    if (!this.#isBound(error)) return this.#fail(`${error.code}: ${error.message}`)
    this.#stopTimer()
    this.#clientNonce = null
    if (error.code === "not_registered" && this.#incarnation !== null) {
      // The server does not know this node any more: it begins anew.
      this.#incarnation = null
      this.#epoch = 0
      return this.#fail(error.message)
    }
    // Somebody has changed it on its way, its answer was that of another attempt, or it answers no registration at all.
    if (isComeBack(error)) return this.#fail(`${error.code}: ${error.message}`)
    if (!error.retryable) return this.#stop(error, `${error.code}: ${error.message}`)
    if (++this.#refusals === REFUSALS) {
      this.#retryAfterMs = error.retry_after_ms ?? 0
      return this.#fail(`${error.code}: ${error.message}`)
    }
    this.#lastReason = `${error.code}: ${error.message}`
    this.#link.answered(this, "retryable")
    this.#askAfter(error.retry_after_ms ?? 0)
  }

  #askAfter(retryAfterMs: number): void {
    this.#asksAfterMs = retryAfterMs
    this.#timer(this.#pause(retryAfterMs), () => this.#link?.ask(this))
  }

  #onError(error: ErrorFrame): void {
    if (this.#session === null) return
    if (error.code === "replaced" && this.#isBound(error)) return this.#stop(error, `${error.code}: ${error.message}`)
    // T4
    if (error.code === "replaced" || error.code === "superseded") return this.#fail(`${error.code}: ${error.message}`)
    if (error.code === "going_away") {
      this.#state = "draining"
      this.#retryAfterMs = error.retry_after_ms ?? 0
      return this.#timer(DRAIN_MS, () => this.#fail(error.message))
    }
    if (error.seq === undefined && isComeBack(error)) return this.#fail(`${error.code}: ${error.message}`)
    if (error.seq === undefined && error.retryable && error.child_id === undefined && isAboutSession(error)) {
      this.#retryAfterMs = error.retry_after_ms ?? 0
      return this.#fail(`${error.code}: ${error.message}`)
    }
    if (!error.retryable && !this.#isBound(error)) return this.#fail(`${error.code}: ${error.message}`)
    this.#owner.onFrame(error)
  }

  /** This attempt, or this session, is over: the next one on another link. */
  #fail(reason: string): void {
    this.#link?.leave(this)
    this.onLost(reason, 0)
  }

  #detach(): void {
    this.#stopTimer()
    if (this.#session === null) return
    this.#backoff.lived(this.#platform.monotonic() - this.#attachedAt)
    this.#session = null
    this.#owner.onDetached()
  }

  #pause(retryAfterMs: number): number {
    const pause = this.#backoff.next(retryAfterMs)
    return this.#hurry ? Math.min(pause, Math.max(HURRY_MS, retryAfterMs)) : pause
  }

  #wait(retryAfterMs: number): void {
    this.#state = "waiting"
    this.#timer(this.#pause(retryAfterMs), () => this.#join())
  }

  #timer(milliseconds: number, task: () => void): void {
    this.#stopTimer()
    this.#stopTimer = this.#platform.later(milliseconds, task)
  }

  #stop(error: ErrorFrame | null, reason: string): void {
    if (this.#state === "stopped") return
    this.#state = "stopped"
    this.#lastReason = reason
    this.#detach()
    this.#link?.leave(this)
    this.#link = null
    this.#owner.onStopped(error, reason)
  }
}
