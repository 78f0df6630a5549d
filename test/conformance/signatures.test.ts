import { createHash } from "node:crypto"
import { Point } from "@noble/ed25519"
import { assert, describe, it } from "@effect/vitest"
import { nodeEd25519 } from "../../src/actors/Ed25519.ts"
import { nobleEd25519 } from "../../src/client/NobleEd25519.ts"
import { isCanonicalPoint, isSmallOrder } from "../../src/protocol/Keys.ts"
import {
  forgeUnderSmallOrderKey,
  type Forgery,
  nonCanonicalEncodings,
  satisfiesEquation,
  signMoved,
  smallOrderEncodings,
  toLittleEndian,
  torsion,
  withNonCanonicalS
} from "./Forge.ts"
import { Seeded } from "./Seeded.ts"
import { keyOf, rawSign } from "./Signer.ts"
import { wycheproof } from "./wycheproof.ts"

const noble = nobleEd25519((bytes) => createHash("sha512").update(bytes).digest())

describe("Wycheproof", () => {
  it(
    "both implementations give the expected answer on each of Project Wycheproof's vectors",
    { timeout: 300_000 },
    () => {
      const { numberOfTests, testGroups } = wycheproof()
      let seen = 0
      for (const { key, tests } of testGroups) {
        for (const test of tests) {
          const args = [Buffer.from(key.pk, "hex"), Buffer.from(test.msg, "hex"), Buffer.from(test.sig, "hex")] as const
          const expected = test.result === "valid"
          assert.strictEqual(nodeEd25519.verify(...args), expected, `node:crypto, ${test.tcId} ${test.comment}`)
          assert.strictEqual(noble.verify(...args), expected, `noble, ${test.tcId} ${test.comment}`)
          seen++
        }
      }
      assert.strictEqual(seen, numberOfTests)
      assert.isAtLeast(seen, 145)
    }
  )
})

describe("points of small order", () => {
  it("isSmallOrder knows all 14 encodings, unreduced ones and both signs included, and no others near them", () => {
    const all = smallOrderEncodings()
    assert.strictEqual(all.length, 14)
    for (const bytes of all) assert.isTrue(isSmallOrder(bytes), bytes.toString("hex"))
    for (const bytes of nonCanonicalEncodings()) {
      assert.strictEqual(isSmallOrder(bytes), Point.fromBytes(bytes, true).isSmallOrder(), bytes.toString("hex"))
    }
    const random = new Seeded("near small order")
    for (let round = 0; round < 500; round++) {
      const bytes = Buffer.from(random.pick(all))
      bytes[random.int(31)]! ^= 1 << random.int(8)
      assert.strictEqual(
        isSmallOrder(bytes),
        all.some((other) => other.equals(bytes)),
        bytes.toString("hex")
      )
    }
  })

  it("isCanonicalPoint draws the line at p", () => {
    const p = Point.CURVE().p
    for (const sign of [0n, 1n << 255n]) {
      for (let below = 1n; below < 30n; below++) assert.isTrue(isCanonicalPoint(toLittleEndian(p - below + sign)))
      for (let above = 0n; above < 19n; above++) assert.isFalse(isCanonicalPoint(toLittleEndian(p + above + sign)))
    }
    assert.isTrue(isCanonicalPoint(toLittleEndian(((1n << 255n) - 1n) ^ (1n << 100n))))
  })

  it("a small-order R satisfies the equation too, and is refused by both", () => {
    const random = new Seeded("small R")
    for (let round = 0; round < 50; round++) {
      const forged = signMoved(random.bytes(32), random.bytes(20), random, { key: 0, r: 0, rIsTorsionOnly: true })
      assert.isTrue(satisfiesEquation(forged))
      assert.isFalse(nodeEd25519.verify(forged.key, forged.message, forged.signature))
      assert.isFalse(noble.verify(forged.key, forged.message, forged.signature))
    }
  })

  it("every forgery under a small-order key satisfies the equation and is refused by both", () => {
    const random = new Seeded("forgeries")
    for (const key of smallOrderEncodings()) {
      for (let round = 0; round < 10; round++) {
        const forged = forgeUnderSmallOrderKey(key, random)
        assert.isTrue(satisfiesEquation(forged), "the forgery is real: the look at the points is what refuses it")
        assert.isFalse(nodeEd25519.verify(forged.key, forged.message, forged.signature), key.toString("hex"))
        assert.isFalse(noble.verify(forged.key, forged.message, forged.signature), key.toString("hex"))
      }
    }
  })
})

describe("10,000 seeded cases", () => {
  interface Case extends Forgery {
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
  const kinds: ReadonlyArray<readonly [string, number, (random: Seeded) => Case]> = [
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

  it("the torsion points are eight", () => {
    assert.strictEqual(new Set(torsion.map((point) => point.toHex())).size, 8)
  })

  it.each(kinds)("%s: both agree", { timeout: 180_000 }, (name, share, make) => {
    const random = new Seeded(`case/${name}`)
    let valid = 0
    for (let round = 0; round < share * 100; round++) {
      const { key, message, signature, expected } = make(random)
      const answer = nodeEd25519.verify(key, message, signature)
      const place = `${name} ${round}: ${key.toString("hex")} ${message.toString("hex")} ${signature.toString("hex")}`
      assert.strictEqual(noble.verify(key, message, signature), answer, place)
      if (expected !== null) assert.strictEqual(answer, expected, place)
      if (answer) valid++
    }
    assert.isAtMost(valid, share * 100)
  })

  it("they are 10,000", () => {
    assert.strictEqual(
      kinds.reduce((sum, [, share]) => sum + share * 100, 0),
      10_000
    )
  })
})
