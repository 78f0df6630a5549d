/** Reading resumes below this share of the bound. */
const LOW_WATER = 0.8

/** Whoever may be told to stop reading. */
export interface Spender {
  readonly pause: (reason: "process") => void
  readonly resume: (reason: "process") => void
}

/**
 * Bytes of frames that the process holds between arrival and settlement, over all sockets (P17). Whoever adds to it
 * while it is spent stops reading until others have given back.
 */
export class ByteBudget {
  readonly #bound: number
  readonly #waiting = new Set<Spender>()
  #used = 0

  constructor(bound: number) {
    this.#bound = bound
  }

  get used(): number {
    return this.#used
  }

  take(spender: Spender, bytes: number): void {
    this.#used += bytes
    if (this.#used <= this.#bound || this.#waiting.has(spender)) return
    this.#waiting.add(spender)
    spender.pause("process")
  }

  give(bytes: number): void {
    this.#used -= bytes
    if (this.#waiting.size === 0 || this.#used > this.#bound * LOW_WATER) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const spender of waiting) spender.resume("process")
  }

  forget(spender: Spender): void {
    this.#waiting.delete(spender)
  }
}
