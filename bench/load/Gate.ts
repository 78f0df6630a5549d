/** Lets at most `width` in at a time, in order of arrival. */
export class Gate {
  readonly #waiting: Array<() => void> = []
  #free: number

  constructor(width: number) {
    this.#free = width
  }

  enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
