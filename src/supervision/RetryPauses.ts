/** When each of several things that failed may be tried again: a pause per key, in milliseconds, that doubles up to `lastMs`. */
export class RetryPauses<Key> {
  readonly #now: () => number
  readonly #firstMs: number
  readonly #lastMs: number
  readonly #pauses = new Map<Key, { readonly ms: number; readonly until: number }>()

  constructor(now: () => number, range: { readonly firstMs: number; readonly lastMs: number }) {
    this.#now = now
    this.#firstMs = range.firstMs
    this.#lastMs = range.lastMs
  }

  /** True of a key that has not failed, and of one whose pause is over. */
  isOver(key: Key): boolean {
    return this.#now() >= (this.#pauses.get(key)?.until ?? Number.NEGATIVE_INFINITY)
  }

  failed(key: Key): void {
    const before = this.#pauses.get(key)
    const ms = before === undefined ? this.#firstMs : Math.min(this.#lastMs, 2 * before.ms)
    this.#pauses.set(key, { ms, until: this.#now() + ms })
  }

  succeeded(key: Key): void {
    this.#pauses.delete(key)
  }

  clear(): void {
    this.#pauses.clear()
  }
}
