import {
  forgeUnderSmallOrderKey,
  type Forgery,
  nonCanonicalEncodings,
  signMoved,
  smallOrderEncodings,
  withNonCanonicalS
} from "./Forge.ts"
import { Seeded } from "./Seeded.ts"
import { keyOf, rawSign } from "./Signer.ts"

/** A signature made by rule, and what is known of it beforehand; null: it depends on how things fall. */
export interface SignatureCase extends Forgery {
  readonly expected: boolean | null
}

const pool = new Seeded("pool")
const owners = Array.from({ length: 24 }, () => {
  const seed = pool.bytes(32)
  return { seed, key: keyOf(seed) }
})

const flip = (random: Seeded, bytes: Buffer): Buffer => {
  const copy = Buffer.from(bytes)
  copy[random.int(copy.length)]! ^= 1 << random.int(8)
  return copy
}
const small = smallOrderEncodings()
const unreduced = nonCanonicalEncodings()

/** Kinds of cases: name, hundreds of them, and how one is made. */
export const signatureCases: ReadonlyArray<readonly [string, number, (random: Seeded) => SignatureCase]> = [
  [
    "valid",
    30,
    (random) => {
      const { seed, key } = random.pick(owners)
      const message = random.bytes(random.int(200))
      return { key, message, signature: rawSign(seed, message), expected: true }
    }
  ],
  [
    "message changed",
    10,
    (random) => {
      const { seed, key } = random.pick(owners)
      const message = random.bytes(1 + random.int(80))
      return { key, message: flip(random, message), signature: rawSign(seed, message), expected: false }
    }
  ],
  [
    "signature changed",
    15,
    (random) => {
      const { seed, key } = random.pick(owners)
      const message = random.bytes(40)
      return { key, message, signature: flip(random, rawSign(seed, message)), expected: false }
    }
  ],
  [
    "key changed",
    10,
    (random) => {
      const { seed, key } = random.pick(owners)
      const message = random.bytes(40)
      return { key: flip(random, key), message, signature: rawSign(seed, message), expected: false }
    }
  ],
  [
    "another key",
    5,
    (random) => {
      const at = random.int(owners.length)
      const message = random.bytes(40)
      const signature = rawSign(owners[at]!.seed, message)
      return { key: owners[(at + 1) % owners.length]!.key, message, signature, expected: false }
    }
  ],
  [
    "S + L",
    5,
    (random) => {
      const { seed, key } = random.pick(owners)
      const message = random.bytes(40)
      return { key, message, signature: withNonCanonicalS(rawSign(seed, message)), expected: false }
    }
  ],
  ["small-order key", 5, (random) => ({ ...forgeUnderSmallOrderKey(random.pick(small), random), expected: false })],
  [
    "small-order R",
    5,
    (random) => {
      const moved = { key: random.int(8), r: random.int(8), rIsTorsionOnly: true }
      return { ...signMoved(random.pick(owners).seed, random.bytes(40), random, moved), expected: false }
    }
  ],
  [
    "key moved by small order",
    3,
    (random) => {
      const moved = { key: 1 + random.int(7), r: 0 }
      return { ...signMoved(random.pick(owners).seed, random.bytes(40), random, moved), expected: null }
    }
  ],
  [
    "R moved by small order",
    2,
    (random) => {
      const moved = { key: 0, r: 1 + random.int(7) }
      return { ...signMoved(random.pick(owners).seed, random.bytes(40), random, moved), expected: false }
    }
  ],
  [
    "both moved",
    2,
    (random) => {
      const moved = { key: 1 + random.int(7), r: 1 + random.int(7) }
      return { ...signMoved(random.pick(owners).seed, random.bytes(40), random, moved), expected: null }
    }
  ],
  [
    "unreduced key or R",
    4,
    (random) => {
      const { seed, key } = random.pick(owners)
      const message = random.bytes(40)
      const signature = rawSign(seed, message)
      const point = random.pick(unreduced)
      return random.int(2) === 0
        ? { key: point, message, signature, expected: false }
        : { key, message, signature: Buffer.concat([point, signature.subarray(32)]), expected: false }
    }
  ],
  [
    "garbage",
    4,
    (random) => ({
      key: random.bytes(random.pick([32, 32, 32, 31, 33, 0])),
      message: random.bytes(20),
      signature: random.bytes(random.pick([64, 64, 64, 63, 65, 0])),
      expected: false
    })
  ]
]
