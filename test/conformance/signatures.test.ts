import { createHash } from "node:crypto"
import { Point } from "@noble/ed25519"
import { assert, describe, it } from "@effect/vitest"
import { nodeEd25519 } from "../../src/actors/Ed25519.ts"
import { nobleEd25519 } from "../../src/client/NobleEd25519.ts"
import { nodeCryptography } from "../../src/client/NodeCryptography.ts"
import { webCryptography } from "../../src/client/WebCryptography.ts"
import { isCanonicalPoint, isSmallOrder } from "../../src/protocol/Keys.ts"
import { clientVerify } from "./clientVerify.ts"
import {
  forgeUnderSmallOrderKey,
  nonCanonicalEncodings,
  satisfiesEquation,
  signMoved,
  smallOrderEncodings,
  toLittleEndian,
  torsion
} from "./Forge.ts"
import { Seeded } from "./Seeded.ts"
import { signatureCases } from "./SignatureCases.ts"
import { keyOf, rawSign } from "./Signer.ts"
import { wycheproof } from "./wycheproof.ts"

const noble = nobleEd25519((bytes) => createHash("sha512").update(bytes).digest())

type Triple = readonly [key: Buffer, message: Buffer, signature: Buffer]

/** Server and client, in Node and in browsers, answer alike. */
const allAnswer = async (expected: boolean, triple: Triple, place: string): Promise<void> => {
  assert.strictEqual(nodeEd25519.verify(...triple), expected, `node:crypto, ${place}`)
  assert.strictEqual(noble.verify(...triple), expected, `noble, ${place}`)
  assert.strictEqual(await clientVerify(nodeCryptography, ...triple), expected, `client in Node, ${place}`)
  assert.strictEqual(await clientVerify(webCryptography, ...triple), expected, `client in browsers, ${place}`)
}

describe("Wycheproof", () => {
  it(
    "all implementations give the expected answer on each of Project Wycheproof's vectors",
    { timeout: 300_000 },
    async () => {
      const { numberOfTests, testGroups } = wycheproof()
      let seen = 0
      for (const { key, tests } of testGroups) {
        for (const test of tests) {
          const triple = [
            Buffer.from(key.pk, "hex"),
            Buffer.from(test.msg, "hex"),
            Buffer.from(test.sig, "hex")
          ] as const
          await allAnswer(test.result === "valid", triple, `${test.tcId} ${test.comment}`)
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

  it("a small-order R satisfies the equation too, and is refused by all", async () => {
    const random = new Seeded("small R")
    for (let round = 0; round < 50; round++) {
      const forged = signMoved(random.bytes(32), random.bytes(20), random, { key: 0, r: 0, rIsTorsionOnly: true })
      assert.isTrue(satisfiesEquation(forged))
      await allAnswer(false, [forged.key, forged.message, forged.signature], `small R, ${round}`)
    }
  })

  it("every forgery under a small-order key satisfies the equation and is refused by all", async () => {
    const random = new Seeded("forgeries")
    for (const key of smallOrderEncodings()) {
      for (let round = 0; round < 10; round++) {
        const forged = forgeUnderSmallOrderKey(key, random)
        assert.isTrue(satisfiesEquation(forged), "the forgery is real: the look at the points is what refuses it")
        await allAnswer(false, [forged.key, forged.message, forged.signature], key.toString("hex"))
      }
    }
  })
})

describe("signing", () => {
  it("the client makes the same keys and signatures in Node and in browsers as node:crypto does", async () => {
    const random = new Seeded("signing")
    for (let round = 0; round < 20; round++) {
      const seed = random.bytes(32)
      const message = random.bytes(random.int(200))
      for (const { publicKey, signer } of [nodeCryptography, webCryptography]) {
        assert.isTrue(keyOf(seed).equals(await publicKey(seed)))
        assert.isTrue(rawSign(seed, message).equals(await signer(seed)(message)))
      }
    }
  })
})

describe("10,000 seeded cases", () => {
  it("the torsion points are eight", () => {
    assert.strictEqual(new Set(torsion.map((point) => point.toHex())).size, 8)
  })

  it.each(signatureCases)("%s: all agree", { timeout: 180_000 }, async (name, share, make) => {
    const random = new Seeded(`case/${name}`)
    let valid = 0
    for (let round = 0; round < share * 100; round++) {
      const { key, message, signature, expected } = make(random)
      const answer = nodeEd25519.verify(key, message, signature)
      const place = `${name} ${round}: ${key.toString("hex")} ${message.toString("hex")} ${signature.toString("hex")}`
      assert.strictEqual(noble.verify(key, message, signature), answer, place)
      assert.strictEqual(await clientVerify(nodeCryptography, key, message, signature), answer, place)
      // Its equation is noble's above: every tenth is enough to see that it gets the same arguments.
      if (round % 10 === 0) {
        assert.strictEqual(await clientVerify(webCryptography, key, message, signature), answer, place)
      }
      if (expected !== null) assert.strictEqual(answer, expected, place)
      if (answer) valid++
    }
    assert.isAtMost(valid, share * 100)
  })

  it("they are 10,000", () => {
    assert.strictEqual(
      signatureCases.reduce((sum, [, share]) => sum + share * 100, 0),
      10_000
    )
  })
})
