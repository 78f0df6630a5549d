import { hashes, Point, getPublicKey, sign } from "@noble/ed25519"
import type { Ed25519, Hash } from "../protocol/Ed25519.ts"
import { isUsablePoint } from "../protocol/Keys.ts"

/** The order of the base point. */
const ORDER = Point.CURVE().n

const littleEndian = (bytes: Uint8Array): bigint => {
  let value = 0n
  for (let index = bytes.length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index]!)
  return value
}

const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Null when the bytes are not the canonical encoding of a point of the curve. */
const decodePoint = (bytes: Uint8Array): Point | null => {
  try {
    return Point.fromBytes(bytes, false)
  } catch {
    return null
  }
}

/** Lengths, S below the group order, and points that may be computed with. */
export const isAdmissible = (key: Uint8Array, signature: Uint8Array): boolean =>
  key.length === 32 &&
  signature.length === 64 &&
  littleEndian(signature.subarray(32)) < ORDER &&
  isUsablePoint(key) &&
  isUsablePoint(signature)

/** What is hashed for k: R, A, message. */
export const challenge = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): Uint8Array =>
  concat(signature.subarray(0, 32), key, message)

/** [S]B − [k]A encodes to R. The signature is admissible, `hash` is SHA-512 of the challenge. */
export const holds = (key: Uint8Array, signature: Uint8Array, hash: Uint8Array): boolean => {
  const point = decodePoint(key)
  if (point === null) return false
  const s = littleEndian(signature.subarray(32))
  const k = littleEndian(hash) % ORDER
  const expected = Point.BASE.multiply(s, false).subtract(point.multiply(k, false)).toBytes()
  return expected.every((byte, index) => byte === signature[index])
}

/**
 * Ed25519 by @noble/ed25519, for clients without node:crypto. noble's own `verify` multiplies by the cofactor and so
 * accepts signatures with a small-order part that node:crypto refuses; the equation here is the one without it.
 */
export const nobleEd25519 = (sha512: Hash): Ed25519 => {
  // noble takes its synchronous hash from this table only.
  hashes.sha512 = (message) => Uint8Array.from(sha512(message))
  const verify: Ed25519["verify"] = (key, message, signature) =>
    isAdmissible(key, signature) && holds(key, signature, sha512(challenge(key, message, signature)))
  return {
    publicKey: (seed) => getPublicKey(seed),
    sign: (seed, message) => sign(message, seed),
    verify,
    verifyAsync: async (key, message, signature) => verify(key, message, signature)
  }
}
