import { isFrameProblem } from "../protocol/FrameDecoder.ts"
import type { ErrorFrame, HelloFrame, Limits, ServerFrame } from "../protocol/Frames.ts"
import { decodeServerFrame } from "../protocol/ServerFrameDecoder.ts"
import { splitSigned, TAGS } from "../protocol/SignedFrame.ts"
import { encodeUtf8 } from "../protocol/Utf8.ts"
import { Dial } from "./Dial.ts"
import type { Identity, Target } from "./Identity.ts"
import { InOrder } from "./InOrder.ts"
import { chain, type MaybePromise } from "./MaybePromise.ts"
import type { Platform } from "./Platform.ts"
import { ServerClock } from "./ServerClock.ts"

/** A data frame on its way: M, without the signature. */
export interface Outgoing {
  readonly message: string
  readonly size: number
}

/** What a member needs of `hello`. */
export interface Greeting {
  readonly nonce: string
  readonly clock: ServerClock
  /** Of the server, until `registered` says otherwise; 0: it does not ping, or not yet. */
  readonly pingIntervalMs: number
}

/** A node on a link. */
export interface LinkMember {
  readonly identity: Identity
  /** The server has greeted, and it is this node's turn to register: answers by `Link.answered`. */
  readonly onTurn: (greeting: Greeting) => void
  /** About this node; verified where its level asks for it. */
  readonly onFrame: (frame: ServerFrame) => void
  /** The socket is gone, and with it this node's session. `retryAfterMs`: what the server asked for, 0 for nothing. */
  readonly onLost: (reason: string, retryAfterMs: number) => void
  /** Takes the next data frame; null when there is none to send now. */
  readonly next: () => Outgoing | null
}

/** From the first of the attempts to connect (`Dial`) to `hello`, milliseconds: a server under a storm lets some wait. */
const GREETING_MS = 40_000
/** Registrations under way at once; before the first accepted one the server takes 64 KiB in all, so one at a time. */
const REGISTRATIONS = 32
/** Work on outgoing frames in one turn of the event loop, milliseconds: the application's own work comes first. */
const TURN_MS = 2
/**
 * Silence for one of the server's pings and half as long again is a dead peer; between these bounds, milliseconds. The server
 * takes a node for lost after two pings and 1 s (PROTOCOL §7): who lives has to have come back by then.
 */
const SILENCE_SLACK_MS = { least: 1500, most: 10_000 } as const
const FIRST_LIMITS: Limits = { max_frame: 64 * 1024, max_in_flight: 1, max_in_flight_bytes: 64 * 1024 }

/**
 * One socket and the nodes that share it. It lives as long as its socket; whoever comes back asks the pool for another.
 * - K1 on a link of signed nodes nothing is acted upon that does not verify under the pinned key; such a frame ends the
 *   link, since an answer that was meant may be missing (PROTOCOL §3).
 * - K2 frames go out in the order in which they were given, and are handed to nodes in the order in which they came,
 *   whenever their signatures are ready.
 * - K3 at most the server's `max_in_flight` data frames and bytes are under way.
 */
export class Link {
  readonly #platform: Platform
  readonly #target: Target
  readonly #onClosed: (link: Link) => void
  readonly #members = new Map<string, LinkMember>()
  /** Nodes that have registered here for good: their nonce is spent (docs/protocol.md §9). */
  readonly #spent = new Set<string>()
  readonly #turns: Array<LinkMember> = []
  readonly #asking = new Set<LinkMember>()
  /** In the order in which they may send next. */
  readonly #ready = new Set<LinkMember>()
  readonly #inbound = new InOrder((error) => this.#fault(error))
  readonly #outbound = new InOrder((error) => this.#fault(error))
  readonly #socket: Dial
  #greeting: Greeting | null = null
  #accepted = false
  #limits = FIRST_LIMITS
  #frames = 0
  #bytes = 0
  #pumping = false
  #closed = false
  #retryAfterMs = 0
  #heardAt: number
  #pingMs = 0
  #isGranted = false
  #stopTimer: () => void

  constructor(platform: Platform, target: Target, pingIntervalMs: number, onClosed: (link: Link) => void) {
    this.#platform = platform
    this.#target = target
    this.#onClosed = onClosed
    this.#heardAt = platform.monotonic()
    this.#stopTimer = platform.later(GREETING_MS, () => this.#end("no hello from the server in time"))
    this.#socket = new Dial(platform, target.url, pingIntervalMs, {
      message: (text) => this.#receive(text),
      alive: () => {
        this.#heardAt = platform.monotonic()
      },
      closed: (reason) => this.#close(reason)
    })
  }

  get size(): number {
    return this.#members.size
  }

  get limits(): Limits {
    return this.#limits
  }

  /** Whether a node may join: it is open, and its nonce is unspent for that node. */
  takes(appId: string): boolean {
    return !this.#closed && this.#retryAfterMs === 0 && !this.#spent.has(appId) && !this.#members.has(appId)
  }

  join(member: LinkMember): void {
    this.#members.set(member.identity.appId, member)
    this.ask(member)
  }

  /** Wants (again) a turn to register. */
  ask(member: LinkMember): void {
    this.#turns.push(member)
    this.#nextTurn()
  }

  /** The node's registration was answered. `retryable`: it may ask again here, its nonce is not spent. */
  answered(member: LinkMember, answer: "accepted" | "refused" | "retryable"): void {
    this.#asking.delete(member)
    if (answer === "retryable") this.#spent.delete(member.identity.appId)
    if (answer === "accepted") this.#accepted = true
    this.#nextTurn()
  }

  /** What `registered` grants to this socket. */
  grant(limits: Limits, pingIntervalMs: number): void {
    this.#limits = limits
    if (!this.#isGranted || pingIntervalMs > this.#pingMs) this.#watch(pingIntervalMs)
    this.#isGranted = true
  }

  /** Until a node is accepted: the server pings at least so often. 0: that is not known. */
  expect(pingIntervalMs: number): void {
    if (!this.#isGranted && pingIntervalMs > this.#pingMs) this.#watch(pingIntervalMs)
  }

  leave(member: LinkMember): void {
    if (this.#members.get(member.identity.appId) !== member) return
    this.#members.delete(member.identity.appId)
    this.#asking.delete(member)
    this.#ready.delete(member)
    const at = this.#turns.indexOf(member)
    if (at !== -1) this.#turns.splice(at, 1)
    if (this.#members.size === 0 && !this.#closed) {
      // What is being sealed goes out first.
      this.#outbound.run(() => {
        if (this.#members.size === 0) this.#end("no node is left on it", "close")
      })
    } else this.#nextTurn()
  }

  /** Seals M for a node and sends it. */
  send(identity: Identity, message: string): void {
    this.#outbound.run(() =>
      chain(identity.seal(message), (text) => {
        if (!this.#closed) this.#socket.send(text)
      })
    )
  }

  /** This node has something to send. */
  wake(member: LinkMember): void {
    this.#ready.add(member)
    this.#schedule()
  }

  /** Data frames that are under way no longer. */
  credit({ bytes, frames }: { readonly frames: number; readonly bytes: number }): void {
    this.#frames = Math.max(0, this.#frames - frames)
    this.#bytes = Math.max(0, this.#bytes - bytes)
    if (this.#ready.size > 0) this.#schedule()
  }

  /** Sends all there is, in this very turn: the process ends, and K3 is left to the server's own back-pressure. */
  flush(): void {
    this.#limits = { ...this.#limits, max_in_flight: Infinity, max_in_flight_bytes: Infinity }
    this.#pump(Infinity)
  }

  /** The conversation can't be trusted, or makes no sense: without a closing handshake. */
  distrust(reason: string): void {
    this.#end(reason)
  }

  #nextTurn(): void {
    if (this.#greeting === null) return
    const most = this.#accepted ? REGISTRATIONS : 1
    while (this.#asking.size < most) {
      const member = this.#turns.shift()
      if (member === undefined) return
      this.#asking.add(member)
      this.#spent.add(member.identity.appId)
      member.onTurn(this.#greeting)
    }
  }

  #receive(text: string): void {
    this.#heardAt = this.#platform.monotonic()
    this.#inbound.run(() => {
      if (this.#closed) return
      return chain(this.#verify(text), (valid) => {
        if (this.#closed) return
        if (valid) this.#dispatch(text)
        else this.#end("a frame does not verify under the server's key: somebody is in the way, or the key is not its")
      })
    })
  }

  /** K1 */
  #verify(text: string): MaybePromise<boolean> {
    const { verify } = this.#target
    if (verify === null) return true
    const signed = splitSigned(text)
    return signed !== null && verify(encodeUtf8(TAGS.server + signed.message), signed.signature)
  }

  #dispatch(text: string): void {
    const decoded = decodeServerFrame(text)
    if (isFrameProblem(decoded)) {
      // Types that are not known are ignored (docs/protocol.md §7); what is no JSON is no server of ours.
      if (decoded.fatal) this.#end(`the server sent something else than frames: ${decoded.message}`)
      return
    }
    const { frame } = decoded
    if (frame.type === "hello") return this.#greet(frame)
    if (this.#greeting === null) return this.#end("the server did not begin with hello")
    if (frame.type === "error" && frame.app_id === undefined) return this.#fail(frame)
    this.#members.get(frame.app_id ?? "")?.onFrame(frame)
  }

  #greet(hello: HelloFrame): void {
    if (this.#greeting !== null) return this.#end("the server greeted twice")
    const { serverKey, verify } = this.#target
    if (verify !== null && hello.server_pub_key !== serverKey)
      return this.#end("hello names another key than the pinned one")
    // Read now: a node that joins hours later gets it too.
    this.#greeting = {
      nonce: hello.nonce,
      clock: new ServerClock(this.#platform, hello.server_time),
      pingIntervalMs: hello.ping_interval_ms ?? 0
    }
    this.#stopTimer()
    this.#nextTurn()
  }

  /** The platform could not sign or verify: what was meant is missing, so that nothing may follow it. */
  #fault(error: unknown): void {
    this.#end(`the platform's cryptography failed: ${String(error)}`)
  }

  /** About the socket as a whole. */
  #fail(error: ErrorFrame): void {
    if (error.code === "going_away") {
      this.#retryAfterMs = error.retry_after_ms ?? 1
      this.#end(error.message, "close")
    } else if (this.#asking.size === 0 && this.#members.size === 0) this.#end(error.message, "close")
  }

  #watch(pingIntervalMs: number): void {
    this.#pingMs = pingIntervalMs
    this.#stopTimer()
    if (!this.#platform.showsPings || pingIntervalMs === 0) return
    const { least, most: longest } = SILENCE_SLACK_MS
    const most = pingIntervalMs + Math.min(longest, Math.max(least, pingIntervalMs / 2))
    const look = (): void => {
      const silent = this.#platform.monotonic() - this.#heardAt
      if (silent >= most) return this.#end(`nothing was heard from the server for ${Math.round(silent)} ms`)
      this.#stopTimer = this.#platform.later(most - silent + 1, look)
    }
    look()
  }

  #schedule(): void {
    if (this.#pumping || this.#closed) return
    this.#pumping = true
    this.#platform.soon(() => {
      this.#pumping = false
      this.#pump(TURN_MS)
    })
  }

  /** K3: nodes in turn, a frame each, for a bounded time. */
  #pump(budgetMs: number): void {
    const until = this.#platform.monotonic() + budgetMs
    while (!this.#closed && this.#mayTake()) {
      const member: LinkMember | undefined = this.#ready.values().next().value
      if (member === undefined) return
      this.#ready.delete(member)
      const outgoing = member.next()
      if (outgoing === null) continue
      this.#frames++
      this.#bytes += outgoing.size
      this.#ready.add(member)
      this.send(member.identity, outgoing.message)
      if (this.#platform.monotonic() >= until) return this.#schedule()
    }
  }

  #mayTake(): boolean {
    const { max_in_flight, max_in_flight_bytes } = this.#limits
    return this.#frames < max_in_flight && (this.#bytes < max_in_flight_bytes || this.#frames === 0)
  }

  #end(reason: string, how: "close" | "terminate" = "terminate"): void {
    if (this.#closed) return
    if (how === "close") this.#socket.close()
    else this.#socket.terminate()
    this.#close(reason)
  }

  #close(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#stopTimer()
    this.#onClosed(this)
    const members = [...this.#members.values()]
    this.#members.clear()
    for (const member of members) member.onLost(reason, this.#retryAfterMs)
  }
}
