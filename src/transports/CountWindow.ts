/** Counts events in windows of fixed length: refusals of one peer, losses and returns of all. */
export class CountWindow {
  #since = 0
  #count = 0

  /** Events in the current window, this one included. */
  add(now: number, windowMs: number): number {
    if (now - this.#since >= windowMs) {
      this.#since = now
      this.#count = 0
    }
    return ++this.#count
  }
}
