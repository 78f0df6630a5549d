import { createHash } from "node:crypto"

/** Deterministic bytes: SHA-256 over a name and a counter, so that a vector never moves when another one is added. */
export class Seeded {
  readonly #name: string
  #counter = 0
  #buffer = Buffer.alloc(0)

  constructor(name: string) {
    this.#name = name
  }

  bytes(length: number): Buffer {
    while (this.#buffer.length < length) {
      const block = createHash("sha256")
        .update(`${this.#name}/${this.#counter++}`)
        .digest()
      this.#buffer = Buffer.concat([this.#buffer, block])
    }
    const taken = Buffer.from(this.#buffer.subarray(0, length))
    this.#buffer = this.#buffer.subarray(length)
    return taken
  }

  /** 0 ≤ n < bound ≤ 2^32; the bias is of no matter here. */
  int(bound: number): number {
    return this.bytes(4).readUInt32LE() % bound
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.int(items.length)]!
  }

  /** Version 4, canonical. */
  uuid(): string {
    const bytes = this.bytes(16)
    bytes[6] = (bytes[6]! & 0x0f) | 0x40
    bytes[8] = (bytes[8]! & 0x3f) | 0x80
    return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
  }
}
