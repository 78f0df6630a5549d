/** How often those who are blocked are looked at when nobody wakes them. */
const RETRY_MS = 20

export interface Retryable {
  /** Tries again; it asks for another retry itself when it is still blocked. */
  readonly retry: () => void
}

/** One timer for all connections whose head frame an actor could not take. It runs only while there are any. */
export class RetryLoop {
  readonly #blocked = new Set<Retryable>()
  #timer: NodeJS.Timeout | null = null
  #soon = false

  get size(): number {
    return this.#blocked.size
  }

  add(blocked: Retryable): void {
    this.#blocked.add(blocked)
    this.#timer ??= setTimeout(this.#run, RETRY_MS)
  }

  /** An actor has dealt with something: its mailbox may have room after its turn. */
  wake(): void {
    if (this.#soon || this.#blocked.size === 0) return
    this.#soon = true
    setImmediate(this.#run)
  }

  close(): void {
    this.#blocked.clear()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  readonly #run = (): void => {
    this.#soon = false
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const blocked = [...this.#blocked]
    this.#blocked.clear()
    for (const one of blocked) one.retry()
  }
}
