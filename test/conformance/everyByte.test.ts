import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { importPublicKey, importSeed, nodeEd25519, sign, verify, verifySync } from "../../src/actors/Ed25519.ts"
import { nobleEd25519 } from "../../src/client/NobleEd25519.ts"
import { parseKey } from "../../src/protocol/Keys.ts"
import { attachSignature, splitSigned, TAGS, type Tag } from "../../src/protocol/SignedFrame.ts"
import { MESSAGE } from "./FrameExamples.ts"
import { Seeded } from "./Seeded.ts"

/** P11: changing any byte of a signed frame is refused, in both directions, by both implementations. */

const seed = new Seeded("every byte").bytes(32)
const secret = importSeed(seed)
const key = importPublicKey(secret.text)!
const noble = nobleEd25519((bytes) => createHash("sha512").update(bytes).digest())
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | null => {
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}

const acceptedByServer = (bytes: Uint8Array, tag: Tag): boolean => {
  const text = textOf(bytes)
  const signed = text === null ? null : splitSigned(text)
  return signed !== null && verifySync(key, tag, signed.message, signed.signature)
}

const acceptedByClient = (bytes: Uint8Array, tag: Tag): boolean => {
  const text = textOf(bytes)
  const signed = text === null ? null : splitSigned(text)
  if (signed === null) return false
  return noble.verify(parseKey(secret.text)!, new TextEncoder().encode(tag + signed.message), signed.signature)
}

const frames: ReadonlyArray<readonly [string, Tag, string]> = [
  ["child → server", TAGS.child, JSON.stringify({ ...MESSAGE, payload: { phase: "läuft 😀", n: [1, 2.5, null] } })],
  ["server → child", TAGS.server, JSON.stringify({ type: "ack", app_id: MESSAGE.app_id, incarnation: 1, seq: 41 })]
]

/** Every frame byte gets: its lowest bit flipped, its case bit flipped, and one seeded other value. */
const changes = (bytes: Buffer, at: number, random: Seeded): ReadonlyArray<Buffer> =>
  [bytes[at]! ^ 1, bytes[at]! ^ 32, bytes[at]! ^ (1 + random.int(255))].map((value) => {
    const changed = Buffer.from(bytes)
    changed[at] = value
    return changed
  })

describe.each(frames)("a signed frame, %s (P11)", (name, tag, message) => {
  const frame = Buffer.from(attachSignature(message, sign(secret, tag, message)))
  const random = new Seeded(`changes/${name}`)

  it("is accepted unchanged", () => {
    assert.isTrue(acceptedByServer(frame, tag))
    assert.isTrue(acceptedByClient(frame, tag))
  })

  it("is refused with any byte changed", { timeout: 120_000 }, () => {
    for (let at = 0; at < frame.length; at++) {
      for (const [index, changed] of changes(frame, at, random).entries()) {
        assert.isFalse(acceptedByServer(changed, tag), `byte ${at} of ${name}, change ${index}`)
        if (index === 2) assert.isFalse(acceptedByClient(changed, tag), `byte ${at} of ${name}, change ${index}`)
      }
    }
  })

  it("is refused with any byte removed or doubled", { timeout: 120_000 }, () => {
    for (let at = 0; at < frame.length; at++) {
      const removed = Buffer.concat([frame.subarray(0, at), frame.subarray(at + 1)])
      const doubled = Buffer.concat([frame.subarray(0, at + 1), frame.subarray(at)])
      assert.isFalse(acceptedByServer(removed, tag), `byte ${at} removed`)
      assert.isFalse(acceptedByServer(doubled, tag), `byte ${at} doubled`)
    }
  })

  it("is refused in every other meaning", () => {
    for (const other of Object.values(TAGS)) assert.strictEqual(acceptedByServer(frame, other), other === tag)
  })

  it("the thread pool gives the same answers", async () => {
    const { message: signedMessage, signature } = splitSigned(frame.toString())!
    const ask = (text: string, bytes: Uint8Array) => new Promise<boolean>((done) => verify(key, tag, text, bytes, done))
    assert.isTrue(await ask(signedMessage, signature))
    assert.isFalse(await ask(`${signedMessage} `, signature))
    assert.isFalse(await ask(signedMessage, new Uint8Array(64)))
    const bytes = Buffer.from(tag + signedMessage)
    assert.isTrue(await nodeEd25519.verifyAsync(parseKey(secret.text)!, bytes, signature))
    assert.isTrue(await noble.verifyAsync(parseKey(secret.text)!, bytes, signature))
  })
})
