/** Lets one line of each kind into the log in `everyMs` milliseconds, by the clock `now`. */
export class Rarely {
  readonly #now: () => number
  readonly #everyMs: number
  readonly #saidAt = new Map<string, number>()

  constructor(now: () => number, everyMs: number) {
    this.#now = now
    this.#everyMs = everyMs
  }

  /** True: it may be said now, and counts as said. */
  may(kind: string): boolean {
    const last = this.#saidAt.get(kind)
    if (last !== undefined && this.#now() - last < this.#everyMs) return false
    this.#saidAt.set(kind, this.#now())
    return true
  }

  /** The next one may be said at once; false: none was said since. */
  forget(kind: string): boolean {
    return this.#saidAt.delete(kind)
  }
}
