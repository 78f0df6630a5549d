/** Seeded random source (sfc32): the same seed gives the same run. */
export interface Random {
  /** 0 ≤ x < 1 */
  readonly next: () => number
  /** 0 ≤ n < bound */
  readonly int: (bound: number) => number
  readonly between: (low: number, high: number) => number
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  readonly bytes: (length: number) => Buffer
  /** A version 4 UUID. */
  readonly uuid: () => string
}

export const seeded = (seed: number): Random => {
  let a = 0x9e3779b9
  let b = 0x243f6a88
  let c = 0xb7e15162
  let d = seed >>> 0
  const next32 = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t
    return t >>> 0
  }
  for (let i = 0; i < 16; i++) next32()
  const next = () => next32() / 4294967296
  const int = (bound: number) => Math.floor(next() * bound)
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => int(256)))
  return {
    next,
    int,
    between: (low, high) => low + next() * (high - low),
    pick: (items) => {
      const item = items[int(items.length)]
      if (item === undefined) throw new Error("nothing to pick from")
      return item
    },
    bytes,
    uuid: () => {
      const raw = bytes(16)
      raw[6] = (raw[6]! & 0x0f) | 0x40
      raw[8] = (raw[8]! & 0x3f) | 0x80
      const hex = raw.toString("hex")
      return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
    }
  }
}
