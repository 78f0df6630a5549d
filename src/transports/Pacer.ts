/** How many in one turn of the event loop. */
const PER_TURN = 100

/**
 * Spreads small work over turns of the event loop, in order: ten thousand sockets that end at once come in one turn, and
 * what each end costs would block it for more than a second.
 */
export class Pacer<A> {
  readonly #work: (item: A) => void
  #queue: Array<A> = []
  #next = 0
  #scheduled = false

  constructor(work: (item: A) => void) {
    this.#work = work
  }

  push(item: A): void {
    this.#queue.push(item)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    const end = Math.min(this.#next + PER_TURN, this.#queue.length)
    while (this.#next < end) this.#work(this.#queue[this.#next++]!)
    this.#scheduled = this.#next < this.#queue.length
    if (this.#scheduled) return void setImmediate(this.#turn)
    this.#queue = []
    this.#next = 0
  }
}
