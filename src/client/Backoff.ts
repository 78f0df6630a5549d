const FIRST_MS = 100
const LONGEST_MS = 30_000
/** A session that lived that long shows that the way is free: the next loss starts from the shortest pause. */
const PROVEN_MS = 10_000

/** Pauses between attempts to attach: `min(100 ms × 2^n, 30 s)` plus jitter, and what the server asks for (PROTOCOL §6). */
export class Backoff {
  readonly #random: () => number
  #attempts = 0

  /** `random`: uniform in [0, 1). */
  constructor(random: () => number) {
    this.#random = random
  }

  /** Milliseconds until the next attempt. `retryAfterMs`: the least that the server asked for, 0 for none. */
  next(retryAfterMs = 0): number {
    const pause = Math.max(Math.min(FIRST_MS * 2 ** this.#attempts, LONGEST_MS), retryAfterMs)
    this.#attempts++
    // Up to half as much again: thousands of clients that were lost together do not come back together.
    return pause * (1 + this.#random() / 2)
  }

  /** A session has ended that lived for so long. */
  lived(milliseconds: number): void {
    if (milliseconds >= PROVEN_MS) this.reset()
  }

  /** The way is free: the next pause is the shortest. */
  reset(): void {
    this.#attempts = 0
  }
}
