import { Histogram, type HistogramCounts } from "./Histogram.ts"

/** Different problems that are told apart; the rest is one. */
const MOST_PROBLEMS = 50

export interface Counts {
  /** Nodes that have had a session. */
  readonly attached: number
  /** Messages sent for the first time. */
  readonly sent: number
  /** Of these: known to be stored. */
  readonly acked: number
  /** Nodes that were refused for good, with whatever they had not sent yet. */
  readonly refused: number
  /** What no server may do: forged frames, acks of what was never sent, acked messages gone. */
  readonly violations: number
  readonly reconnects: number
}

/** What a process tells at its end. */
export interface Report extends Counts {
  /** Acked within `elapsedMs`, which is what the rate is made of. */
  readonly ackedInTime: number
  /** From the first send to the end of sending (`--seconds`), or to the last ack (`--messages`). */
  readonly elapsedMs: number
  readonly latency: HistogramCounts
  readonly problems: ReadonlyArray<readonly [text: string, count: number]>
}

/** What happened to the nodes of one process. */
export class Tally {
  attached = 0
  sent = 0
  acked = 0
  refused = 0
  violations = 0
  reconnects = 0
  readonly latency = new Histogram()
  /** When the newest ack came, `performance.now()`. */
  lastAckAt = 0
  /** The newest problem. */
  trouble: string | null = null
  readonly #problems = new Map<string, number>()

  /** A problem in words, for people; equal ones are counted. */
  note(problem: string): void {
    this.trouble = problem
    const known = this.#problems.has(problem) || this.#problems.size < MOST_PROBLEMS
    const text = known ? problem : "other problems"
    this.#problems.set(text, (this.#problems.get(text) ?? 0) + 1)
  }

  ackOf(sentAt: number, now: number): void {
    this.acked++
    this.lastAckAt = now
    this.latency.record(now - sentAt)
  }

  get problems(): Report["problems"] {
    return [...this.#problems]
  }

  get counts(): Counts {
    const { acked, attached, reconnects, refused, sent, violations } = this
    return { attached, sent, acked, refused, violations, reconnects }
  }
}
