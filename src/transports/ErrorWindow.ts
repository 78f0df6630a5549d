/** Counts refusals in windows of fixed length, so that a peer that sends garbage for ever is closed after a bound. */
export class ErrorWindow {
  #since = 0
  #count = 0

  /** Errors in the current window, this one included. */
  add(now: number, windowMs: number): number {
    if (now - this.#since >= windowMs) {
      this.#since = now
      this.#count = 0
    }
    return ++this.#count
  }
}
