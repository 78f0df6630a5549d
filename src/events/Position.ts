/** Of deliveries that nobody has acked: no consumer has more of them at once, by JetStream's default. */
const MOST = 1000

/** How far a consumer has come in one stream, as far as this process knows. */
export class Position {
  /** Sequences that were delivered here, and are not dealt with. */
  readonly #open = new Set<number>()
  #next: number

  /** `next`: the first sequence that is not dealt with. */
  constructor(next: number) {
    this.#next = next
  }

  delivered(sequence: number): void {
    this.#open.add(sequence)
    this.#next = Math.max(this.#next, sequence + 1)
    if (this.#open.size <= MOST) return
    // Given back, or late, and dealt with by another process since.
    const [oldest] = this.#open
    this.#open.delete(oldest!)
  }

  settled(sequence: number): void {
    this.#open.delete(sequence)
  }

  /** Everything below it is dealt with. */
  get next(): number {
    return Math.min(this.#next, ...this.#open)
  }
}
