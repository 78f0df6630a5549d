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
  next(retryAfterMs: number): number {
    const base = Math.min(FIRST_MS * 2 ** this.#attempts, LONGEST_MS)
    if (base < LONGEST_MS) this.#attempts++
    // Up to half as much again: thousands of clients that were lost together do not come back together.
    return Math.max(base, retryAfterMs) + this.#random() * (Math.max(base, retryAfterMs) / 2)
  }

  /** A session has ended that lived for so long. */
  lived(milliseconds: number): void {
    if (milliseconds >= PROVEN_MS) this.#attempts = 0
  }
}
