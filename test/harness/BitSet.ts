/** A set of whole numbers from 0 on, in a bit each. */
export class BitSet {
  #words = new Uint32Array(4)
  #size = 0

  get size(): number {
    return this.#size
  }

  has(number: number): boolean {
    return ((this.#words[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0
  }

  /** False: it was there. */
  add(number: number): boolean {
    if (this.has(number)) return false
    const at = number >>> 5
    if (at >= this.#words.length) {
      const more = new Uint32Array(Math.max(at + 1, this.#words.length * 2))
      more.set(this.#words)
      this.#words = more
    }
    this.#words[at] = this.#words[at]! | (1 << (number & 31))
    this.#size++
    return true
  }
}
