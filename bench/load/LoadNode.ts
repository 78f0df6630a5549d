import { randomBytes } from "node:crypto"
import { hostname } from "node:os"
import { importSeed, type SecretKey, sign } from "../../src/actors/Ed25519.ts"
import { encodeFrame } from "../../src/protocol/FrameEncoder.ts"
import type { ClientFrame, Dialect, Level, RegisteredFrame } from "../../src/protocol/Frames.ts"
import { attachNull, attachSignature, TAGS } from "../../src/protocol/SignedFrame.ts"
import { startDay } from "../../src/protocol/StartDay.ts"
import type { Tally } from "./Tally.ts"

export interface NodeBirth {
  readonly appId: string
  readonly appName: string
  /** Envelope with its ticket; null where none is needed. */
  readonly info: string | null
  /** Messages that it shall send; null = until the time is over. */
  readonly quota: number | null
}

export interface NodeOptions {
  readonly dialect: Dialect
  readonly level: Level
  /** Unacked messages at the most. */
  readonly window: number
  /** JSON text. */
  readonly payload: string
}

/** Frames of one node and what became of them. It knows nothing of sockets. */
export class LoadNode {
  readonly birth: NodeBirth
  readonly options: NodeOptions
  readonly key: SecretKey
  incarnation = 0
  /** Had a session once: it comes back by `re_register`. */
  isBorn = false
  /** The server will not have it: it sends nothing any more. */
  isRefused = false
  sent = 0
  /** All up to this seq are known to be stored. */
  acked = 0
  /** At the end: seq of the disconnect, and whether it is acked. */
  byeSeq: number | null = null
  isGone = false
  /** What the socket allows; at most `options.window`. */
  allowed: number
  readonly #bornAt = Date.now()
  readonly #tally: Tally
  /** Frames that are not acked, by seq modulo the window; "" = acked. */
  readonly #frames: Array<string>
  readonly #sentAt: Float64Array

  constructor(birth: NodeBirth, options: NodeOptions, tally: Tally) {
    this.birth = birth
    this.options = options
    this.key = importSeed(randomBytes(32))
    this.allowed = options.window
    this.#tally = tally
    this.#frames = Array.from({ length: options.window }, () => "")
    this.#sentAt = new Float64Array(options.window)
  }

  /** It has something to send and may. */
  get hasRoom(): boolean {
    const { quota } = this.birth
    return !this.isRefused && this.sent - this.acked < this.allowed && (quota === null || this.sent < quota)
  }

  /** Nothing of it is on the way, or will ever be acked. */
  get isSettled(): boolean {
    return this.isRefused || this.acked === this.sent
  }

  get isFinished(): boolean {
    return this.isRefused || this.sent === this.birth.quota
  }

  /** The text of the next message; from now on it counts as sent. */
  next(): string {
    const seq = ++this.sent
    const slot = seq % this.#frames.length
    const { payload } = this.options
    const header = { msg_type: "Status", timestamp: Date.now(), seq, correlation_id: null } as const
    const text = this.sealed({ type: "message", app_id: this.birth.appId, ...this.#since, header }, payload)
    this.#tally.sent++
    this.#frames[slot] = text
    this.#sentAt[slot] = performance.now()
    return text
  }

  /** What has to be sent again, in order. */
  *unacked(): Generator<string> {
    for (let seq = this.acked + 1; seq <= this.sent; seq++) {
      const text = this.#frames[seq % this.#frames.length]!
      if (text !== "") yield text
    }
  }

  /** An ack: cumulative in version 1, of one message in the legacy dialect. */
  ack(seq: number, now: number): void {
    if (this.byeSeq !== null && seq === this.byeSeq) this.isGone = true
    const last = this.byeSeq ?? this.sent
    if (seq > last || seq < 1) {
      this.#tally.violations++
      this.#tally.note(`an ack of seq ${seq > last ? "that was never sent" : "0"}`)
      return
    }
    if (this.options.dialect === "v1") this.#settle(Math.min(seq, this.sent), now)
    else if (seq > this.acked) this.#settleOne(seq, now)
  }

  /** An accepted registration: what it says to be stored is known to be so. */
  attach({ incarnation, last_seq }: Pick<RegisteredFrame, "incarnation" | "last_seq">, now: number): void {
    if (!this.isBorn) this.#tally.attached++
    this.isBorn = true
    this.incarnation = incarnation
    if (this.options.dialect === "legacy") return
    if (last_seq < this.acked) {
      this.#tally.violations++
      this.#tally.note("acked messages are gone: registered names a last_seq below what was acked")
    }
    this.#settle(Math.min(last_seq, this.sent), now)
  }

  refuse(): void {
    if (this.isRefused) return
    this.isRefused = true
    this.#tally.refused++
  }

  registration(nonce: string | undefined, clientNonce: string, serverKey: string | null): string {
    const { appId, appName, info } = this.birth
    const isV1 = this.options.dialect === "v1"
    const authentic = isV1
      ? { nonce: nonce!, client_nonce: clientNonce, ...(serverKey === null ? {} : { server_key: serverKey }) }
      : {}
    if (this.isBorn) {
      return this.sealed({
        type: "re_register",
        ...authentic,
        app_id: appId,
        ...(isV1 ? { incarnation: this.incarnation } : {}),
        last_seq: this.acked,
        pub_key: this.key.text
      })
    }
    return this.sealed({
      type: "register",
      app_id: appId,
      parent_id: null,
      app_name: appName,
      child_pub_key: this.key.text,
      process_info: PROCESS,
      role_refs: [],
      ...authentic,
      ...(isV1 ? { start_day: startDay(this.#bornAt) } : {}),
      ...(info === null ? {} : { info })
    })
  }

  /** The node ends as done. Version 1 gets an ack of it. */
  bye(): string {
    const seq = this.options.dialect === "legacy" ? null : (this.byeSeq = this.sent + 1)
    const { incarnation } = this
    return this.sealed({
      type: "disconnect",
      app_id: this.birth.appId,
      ...(seq === null ? {} : { incarnation, seq }),
      reason: "completed"
    })
  }

  /** A frame as this node sends it: signed, or with `sig: null`. */
  sealed(frame: ClientFrame, application: string | null = null): string {
    const message = encodeFrame(frame, application)
    return this.options.level === "open"
      ? attachNull(message)
      : attachSignature(message, sign(this.key, TAGS.child, message))
  }

  get #since(): { readonly incarnation?: number; readonly start_day?: number } {
    return this.options.dialect === "legacy" ? {} : { incarnation: this.incarnation, start_day: startDay(this.#bornAt) }
  }

  #settle(upTo: number, now: number): void {
    while (this.acked < upTo) this.#settleOne(this.acked + 1, now)
  }

  #settleOne(seq: number, now: number): void {
    const size = this.#frames.length
    if (this.#frames[seq % size] === "") return
    this.#frames[seq % size] = ""
    this.#tally.ackOf(this.#sentAt[seq % size]!, now)
    while (this.acked < this.sent && this.#frames[(this.acked + 1) % size] === "") this.acked++
  }
}

const PROCESS = {
  pid: process.pid,
  ppid: process.ppid,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  hostname: hostname(),
  start_time: Math.round(performance.timeOrigin),
  executable: process.execPath
}
