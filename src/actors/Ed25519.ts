import {
  createPrivateKey,
  createPublicKey,
  hash,
  sign as signBytes,
  verify as verifyBytes,
  type KeyObject
} from "node:crypto"
import type { Ed25519 } from "../protocol/Ed25519.ts"
import { formatKey, formatSignature, isUsablePoint, parseKey } from "../protocol/Keys.ts"
import type { Tag } from "../protocol/SignedFrame.ts"

/**
 * Ed25519 by node:crypto. Which points it takes depends on the OpenSSL behind it (3.0 accepts forgeries under small-order
 * keys, 3.5 does not), so both points pass `isUsablePoint` first; then it agrees with the client's implementation on
 * every input (test/conformance).
 */

const SPKI = Buffer.from("302a300506032b6570032100", "hex")
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex")

/** A public key ready for verification; keep it, an import costs as much as a verification. */
export interface PublicKey {
  /** `ed25519:<base64>` */
  readonly text: string
  readonly key: KeyObject
}

export interface SecretKey {
  /** Its public key, `ed25519:<base64>`. */
  readonly text: string
  readonly key: KeyObject
}

const importPoint = (bytes: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: "der", type: "spki" })

const importScalar = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" })

const publicBytes = (key: KeyObject): Uint8Array =>
  createPublicKey(key).export({ format: "der", type: "spki" }).subarray(SPKI.length)

/** Null unless it is the strict text of a key that can be trusted. */
export const importPublicKey = (text: string): PublicKey | null => {
  const bytes = parseKey(text)
  return bytes !== null && isUsablePoint(bytes) ? { text, key: importPoint(bytes) } : null
}

/** From a 32-byte seed. */
export const importSeed = (seed: Uint8Array): SecretKey => importSecretKey(importScalar(seed))

/** From a private Ed25519 key that node:crypto holds already (PEM, DER). */
export const importSecretKey = (key: KeyObject): SecretKey => ({ text: formatKey(publicBytes(key)), key })

const bytesOf = (tag: Tag, message: string): Buffer => Buffer.from(tag + message, "utf8")

/** The signature of `tag || message` as `attachSignature` takes it. About 25 µs. */
export const sign = (secret: SecretKey, tag: Tag, message: string): string =>
  formatSignature(signBytes(null, bytesOf(tag, message), secret.key))

/** On the calling thread: about 70 µs. */
export const verifySync = (key: PublicKey, tag: Tag, message: string, signature: Uint8Array): boolean =>
  isUsablePoint(signature) && verifyBytes(null, bytesOf(tag, message), key.key, signature)

/** On libuv's thread pool. `done` is called later, never before `verify` returns, and not in the order of the calls. */
export const verify = (
  key: PublicKey,
  tag: Tag,
  message: string,
  signature: Uint8Array,
  done: (valid: boolean) => void
): void => {
  if (!isUsablePoint(signature)) return void setImmediate(done, false)
  verifyBytes(null, bytesOf(tag, message), key.key, signature, (error, valid) => done(error === null && valid))
}

export const sha256 = (bytes: Uint8Array): Uint8Array => hash("sha256", bytes, "buffer")

const admissible = (key: Uint8Array, signature: Uint8Array): boolean =>
  key.length === 32 && signature.length === 64 && isUsablePoint(key) && isUsablePoint(signature)

/** The contract on raw bytes, for tickets and tests; the data path uses the functions above with a kept key. */
export const nodeEd25519: Ed25519 = {
  publicKey: (seed) => publicBytes(importScalar(seed)),
  sign: (seed, message) => signBytes(null, message, importScalar(seed)),
  verify: (key, message, signature) =>
    admissible(key, signature) && verifyBytes(null, message, importPoint(key), signature),
  verifyAsync: (key, message, signature) =>
    new Promise((resolve) => {
      if (!admissible(key, signature)) return resolve(false)
      verifyBytes(null, message, importPoint(key), signature, (error, valid) => resolve(error === null && valid))
    })
}
