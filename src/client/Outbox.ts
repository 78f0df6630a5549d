import type { MsgType } from "../protocol/Frames.ts"

/** What a node reports, as it waits for its ack. */
export interface Report {
  readonly kind: MsgType | "disconnect"
  /** Exact JSON text; null when there are `bytes` only, and of a disconnect. */
  readonly payload: string | null
  /** base64 */
  readonly bytes: string | null
  /** Of a disconnect. */
  readonly reason: string | null
  /** Epoch milliseconds. */
  readonly timestamp: number
  readonly correlationId: string | null
  readonly traceparent: string | null
  /** UTF-8 bytes of the frame, about: never less than it has. */
  readonly size: number
}

/** A report with its place in the order. */
export interface Entry extends Report {
  readonly seq: number
}

export interface OutboxBounds {
  readonly messages: number
  readonly bytes: number
}

/** What another process needs to go on. */
export interface OutboxState {
  /** The last seq that was given out. */
  readonly seq: number
  /** The last one that ever went to the server. */
  readonly sent: number
  readonly acked: number
  /** In order. */
  readonly entries: ReadonlyArray<Entry>
}

/** What left the way: frames and bytes. */
export interface Credit {
  frames: number
  bytes: number
}

/** First in, first out, without moving what is in it. */
class Line {
  #entries: Array<Entry> = []
  #head = 0

  get size(): number {
    return this.#entries.length - this.#head
  }

  get first(): Entry | undefined {
    return this.#entries[this.#head]
  }

  get all(): ReadonlyArray<Entry> {
    return this.#entries.slice(this.#head)
  }

  push(entry: Entry): void {
    this.#entries.push(entry)
  }

  shift(): void {
    this.#head++
    if (this.#head > 64 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  /** Those from the first that `belongs` on leave it. */
  cut(belongs: (entry: Entry) => boolean): ReadonlyArray<Entry> {
    const at = this.#entries.findIndex((entry, index) => index >= this.#head && belongs(entry))
    return at === -1 ? [] : this.#entries.splice(at)
  }

  remove(seq: number): Entry | null {
    const at = this.#entries.findIndex((entry, index) => index >= this.#head && entry.seq === seq)
    return at === -1 ? null : this.#entries.splice(at, 1)[0]!
  }

  prepend(entries: ReadonlyArray<Entry>): void {
    if (entries.length === 0) return
    this.#entries = [...entries, ...this.#entries.slice(this.#head)]
    this.#head = 0
  }

  clear(): void {
    this.#entries = []
    this.#head = 0
  }
}

/**
 * What a node has said and the server has not acked yet (PROTOCOL §6). Invariants:
 * - O1 seqs rise strictly over the life of the node, and what is taken goes in their order; a dropped Status leaves a gap.
 * - O2 only a Status is ever dropped, the oldest that is not under way, and it is counted. The one that the server waits for
 *   is kept as if it were under way: without it every later seq of the session would be refused (PROTOCOL §6).
 * - O3 an entry leaves by its ack, by a refusal for good, or by O2; never by being sent.
 */
export class Outbox {
  readonly #bounds: OutboxBounds
  readonly #waiting = new Line()
  readonly #underWay = new Line()
  #seq = 0
  /** The last one that was ever taken. */
  #sent = 0
  /** The one that has to come again before the server takes any later one; 0: there is none. */
  #awaited = 0
  #bytes = 0
  #acked = 0
  #ackedCount = 0
  #dropped = 0
  #refused = 0

  /** `state`: of the outbox that another process had of the same node. */
  constructor(bounds: OutboxBounds, state: OutboxState | null = null) {
    this.#bounds = bounds
    if (state === null) return
    this.#seq = state.seq
    this.#sent = state.sent
    this.#acked = state.acked
    this.#waiting.prepend(state.entries)
    this.#bytes = state.entries.reduce((sum, { size }) => sum + size, 0)
  }

  /** For another process; call `rewind` first. */
  get state(): OutboxState {
    return { seq: this.#seq, sent: this.#sent, acked: this.#acked, entries: this.#waiting.all }
  }

  /** Entries neither acked nor refused. */
  get size(): number {
    return this.#waiting.size + this.#underWay.size
  }

  get underWay(): number {
    return this.#underWay.size
  }

  /** Of all acked entries the last one's seq. */
  get lastAcked(): number {
    return this.#acked
  }

  get acked(): number {
    return this.#ackedCount
  }

  get dropped(): number {
    return this.#dropped
  }

  get refused(): number {
    return this.#refused
  }

  /** False: it is a Status, and everything that could make room is under way or no Status (O2). */
  offer(report: Report): boolean {
    const isStatus = report.kind === "Status"
    while (isStatus && this.#isFull(report.size)) {
      const oldest = this.#waiting.first
      if (oldest?.kind !== "Status" || oldest.seq === this.#awaited) {
        this.#dropped++
        return false
      }
      this.#bytes -= oldest.size
      this.#waiting.shift()
      this.#dropped++
    }
    this.#seq++
    this.#bytes += report.size
    this.#waiting.push({ ...report, seq: this.#seq })
    return true
  }

  /** The next one to send, without taking it. */
  peek(): Entry | undefined {
    return this.#waiting.first
  }

  /** It is under way from now on. */
  take(): Entry | undefined {
    const entry = this.#waiting.first
    if (entry === undefined) return undefined
    this.#waiting.shift()
    this.#underWay.push(entry)
    if (entry.seq === this.#awaited) this.#awaited = 0
    this.#sent = Math.max(this.#sent, entry.seq)
    return entry
  }

  /** Everything up to `seq` is stored, as far as it was sent: nobody can ack what he has not got. */
  settle(upTo: number): Credit {
    const credit = { frames: 0, bytes: 0 }
    const seq = Math.min(upTo, this.#sent)
    for (let entry = this.#underWay.first; entry !== undefined && entry.seq <= seq; entry = this.#underWay.first) {
      this.#underWay.shift()
      this.#leave(entry, credit)
    }
    // After a loss of the session: it was stored, and its ack was lost.
    for (let entry = this.#waiting.first; entry !== undefined && entry.seq <= seq; entry = this.#waiting.first) {
      this.#waiting.shift()
      this.#leave(entry, { frames: 0, bytes: 0 })
    }
    return credit
  }

  /** It will never be stored. Null: it is not under way. */
  refuse(seq: number): Entry | null {
    const entry = this.#underWay.remove(seq)
    if (entry === null) return null
    this.#refused++
    this.#bytes -= entry.size
    return entry
  }

  /** What is under way from `seq` on, which the server has refused for now, has to go again; default: all, its session is over. */
  rewind(seq = 0): Credit {
    const again = this.#underWay.cut((entry) => entry.seq >= seq)
    if (seq === 0) this.#awaited = 0
    else if (again[0]?.seq === seq) this.#awaited = seq
    this.#waiting.prepend(again)
    return { frames: again.length, bytes: again.reduce((sum, { size }) => sum + size, 0) }
  }

  /** Takes one out that is waiting, as refused. */
  dropWaiting(): void {
    const entry = this.#waiting.first
    if (entry === undefined) return
    this.#waiting.shift()
    this.#bytes -= entry.size
    this.#refused++
  }

  /** Nobody will take any of it. */
  abandon(): void {
    this.#refused += this.size
    this.#bytes = 0
    this.#waiting.clear()
    this.#underWay.clear()
  }

  #isFull(more: number): boolean {
    return this.size >= this.#bounds.messages || this.#bytes + more > this.#bounds.bytes
  }

  #leave(entry: Entry, credit: Credit): void {
    this.#bytes -= entry.size
    this.#acked = entry.seq
    this.#ackedCount++
    credit.frames++
    credit.bytes += entry.size
  }
}
