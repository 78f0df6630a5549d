const FIRST_MS = 100
const MOST_MS = 30_000
/** Of the pause, at random on top of it: nodes that were lost together do not come back together. */
const JITTER = 0.5

/**
 * Pauses between attempts to connect: min(100 ms × 2^n, 30 s) and jitter, never shorter than the server's
 * `retry_after_ms`.
 */
export class Backoff {
  readonly #random: () => number
  #attempt = 0

  /** `random` gives [0, 1). */
  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** Milliseconds to wait before the next attempt. */
  next(retryAfterMs = 0): number {
    const base = Math.max(Math.min(FIRST_MS * 2 ** this.#attempt, MOST_MS), retryAfterMs)
    this.#attempt++
    return base * (1 + JITTER * this.#random())
  }

  /** The attempt was a success. */
  reset(): void {
    this.#attempt = 0
  }
}
