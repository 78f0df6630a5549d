/** What one message costs beside its bytes: the line before it, and Node's record of a write. */
const OVERHEAD = 256

/**
 * Bounds what was given to a connection and not yet taken by its peer, since the client itself buffers without end.
 *
 * - W1: the bytes given and not confirmed never exceed the limit.
 * - W2: at most one flush is on its way. The peer answers in order: an answer confirms everything given before the flush.
 */
export class SendWindow {
  #given = 0
  #confirmed = 0
  #flushing = false
  readonly #limit: number
  readonly #flush: () => Promise<void>

  /** `flush` resolves when the peer has taken everything that was sent before it. */
  constructor(limit: number, flush: () => Promise<void>) {
    this.#limit = limit
    this.#flush = flush
  }

  /** Bytes that wait for their confirmation. */
  get waiting(): number {
    return this.#given - this.#confirmed
  }

  takes(bytes: number): boolean {
    return this.waiting + bytes + OVERHEAD <= this.#limit
  }

  /** After the message was given to the connection. */
  gave(bytes: number): void {
    this.#given += bytes + OVERHEAD
    this.#confirm()
  }

  #confirm(): void {
    if (this.#flushing) return
    this.#flushing = true
    const mark = this.#given
    this.#flush().then(
      () => {
        this.#confirmed = mark
        this.#flushing = false
        if (this.#given > mark) this.#confirm()
      },
      // The connection is gone, and this window with it.
      () => {}
    )
  }
}
