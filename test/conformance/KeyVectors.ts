import {
  forgeUnderSmallOrderKey,
  nonCanonicalEncodings,
  signMoved,
  smallOrderEncodings,
  withNonCanonicalS
} from "./Forge.ts"
import { Seeded } from "./Seeded.ts"
import { keyOf, rawSign } from "./Signer.ts"

export interface KeyVector {
  readonly name: string
  readonly text: string
  /** The text is exactly the form of PROTOCOL §1. */
  readonly wellFormed: boolean
  /** It may be trusted: canonical and not of small order. */
  readonly usable: boolean
  /** Hexadecimal, of well-formed ones. */
  readonly bytes?: string
}

export interface SignatureTextVector {
  readonly name: string
  readonly text: string
  readonly wellFormed: boolean
}

/** All of it hexadecimal. */
export interface Ed25519Vector {
  readonly name: string
  readonly key: string
  readonly message: string
  readonly signature: string
  readonly valid: boolean
}

const text = (bytes: Uint8Array): string => `ed25519:${Buffer.from(bytes).toString("base64")}`

const badTexts = (good: string): ReadonlyArray<readonly [string, string]> => {
  const base64 = good.slice("ed25519:".length)
  return [
    ["empty", ""],
    ["no prefix", base64],
    ["upper-case prefix", `ED25519:${base64}`],
    ["another algorithm", `x25519:${base64}`],
    ["no padding", good.replace(/=+$/, "")],
    ["one pad too many", `${good}=`],
    ["leading space", ` ${good}`],
    ["trailing line feed", `${good}\n`],
    ["line feed inside", `${good.slice(0, 20)}\n${good.slice(20)}`],
    [
      "url-safe alphabet",
      `ed25519:${"-_".repeat(30).slice(0, base64.replace(/=+$/, "").length)}${base64.replace(/^[^=]*/, "")}`
    ],
    ["hexadecimal", `ed25519:${Buffer.from(base64, "base64").toString("hex")}`],
    ["unused bits set", good.replace(/.(?==+$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1))],
    ["one byte too few", text(Buffer.from(base64, "base64").subarray(1))],
    ["one byte too many", text(Buffer.concat([Buffer.from(base64, "base64"), Buffer.of(1)]))],
    ["no bytes", "ed25519:"]
  ]
}

const keys = (): ReadonlyArray<KeyVector> => {
  const random = new Seeded("keys")
  const good = text(keyOf(random.bytes(32)))
  const smallOrder = smallOrderEncodings()
  return [
    {
      name: "a public key",
      text: good,
      wellFormed: true,
      usable: true,
      bytes: keyOf(new Seeded("keys").bytes(32)).toString("hex")
    },
    ...smallOrder.map((bytes) => ({
      name: `small order ${bytes.toString("hex")}`,
      text: text(bytes),
      wellFormed: true,
      usable: false,
      bytes: bytes.toString("hex")
    })),
    ...nonCanonicalEncodings()
      .filter((bytes) => !smallOrder.some((other) => other.equals(bytes)))
      .map((bytes) => ({
        name: `y not below p ${bytes.toString("hex")}`,
        text: text(bytes),
        wellFormed: true,
        usable: false,
        bytes: bytes.toString("hex")
      })),
    ...badTexts(good).map(([name, bad]) => ({ name, text: bad, wellFormed: false, usable: false }))
  ]
}

const signatureTexts = (): ReadonlyArray<SignatureTextVector> => {
  const random = new Seeded("signature texts")
  const good = text(rawSign(random.bytes(32), random.bytes(10)))
  return [
    { name: "a signature", text: good, wellFormed: true },
    ...badTexts(good).map(([name, bad]) => ({ name, text: bad, wellFormed: false }))
  ]
}

const vector = (
  name: string,
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  valid: boolean
): Ed25519Vector => ({
  name,
  key: Buffer.from(key).toString("hex"),
  message: Buffer.from(message).toString("hex"),
  signature: Buffer.from(signature).toString("hex"),
  valid
})

const signatures = (): ReadonlyArray<Ed25519Vector> => {
  const random = new Seeded("ed25519")
  const seed = random.bytes(32)
  const key = keyOf(seed)
  const message = random.bytes(40)
  const good = rawSign(seed, message)
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes)
    copy[at]! ^= 1
    return copy
  }
  const moved = (name: string, by: Parameters<typeof signMoved>[3], valid: boolean) => {
    const forged = signMoved(seed, message, random, by)
    return vector(name, forged.key, forged.message, forged.signature, valid)
  }
  return [
    vector("valid", key, message, good, true),
    vector("valid, empty message", key, Buffer.alloc(0), rawSign(seed, Buffer.alloc(0)), true),
    vector("another message", key, flipped(message, 3), good, false),
    vector("R changed", key, message, flipped(good, 0), false),
    vector("S changed", key, message, flipped(good, 40), false),
    vector("another key", keyOf(random.bytes(32)), message, good, false),
    vector("S + L", key, message, withNonCanonicalS(good), false),
    vector("all zero", key, message, Buffer.alloc(64), false),
    ...smallOrderEncodings().map((encoding) => {
      const forged = forgeUnderSmallOrderKey(encoding, random)
      return vector(`forged under ${encoding.toString("hex")}`, forged.key, forged.message, forged.signature, false)
    }),
    moved("R is the identity, S by the owner", { key: 0, r: 0, rIsTorsionOnly: true }, false),
    moved("R moved by a point of order 8: holds only with the cofactor", { key: 0, r: 1 }, false),
    moved("R moved by the point of order 2: holds only with the cofactor", { key: 0, r: 4 }, false)
  ]
}

export const keyVectors = () => ({ keys: keys(), signatures: signatureTexts() })

export const ed25519Vectors = () => ({ cases: signatures() })
