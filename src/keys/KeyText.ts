import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { decodeBase64 } from "../protocol/Base64.ts"
import { formatKey, isUsablePoint, parseUsableKey } from "../protocol/Keys.ts"

/** An Ed25519 key as people keep it in a file. */
export interface KeyText {
  /** Null when the text holds the public half alone. */
  readonly secret: KeyObject | null
  /** `ed25519:` + base64 (PROTOCOL §1). */
  readonly publicKey: string
}

const SEED = "ed25519-seed:"
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex")

const pointOf = (key: KeyObject): Uint8Array => Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url")

const publicOnly = (text: string): KeyText | null =>
  parseUsableKey(text) === null ? null : { secret: null, publicKey: text }

const withSecret = (secret: KeyObject): KeyText => ({ secret, publicKey: formatKey(pointOf(createPublicKey(secret))) })

const read = (text: string): KeyText | null => {
  if (text.startsWith("ed25519:")) return publicOnly(text)
  if (text.startsWith("-----BEGIN PUBLIC KEY")) {
    const key = createPublicKey(text)
    return key.asymmetricKeyType === "ed25519" && isUsablePoint(pointOf(key))
      ? { secret: null, publicKey: formatKey(pointOf(key)) }
      : null
  }
  if (text.startsWith(SEED)) {
    const seed = decodeBase64(text.slice(SEED.length))
    if (seed?.length !== 32) return null
    return withSecret(createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" }))
  }
  const key = createPrivateKey(text)
  return key.asymmetricKeyType === "ed25519" ? withSecret(key) : null
}

/**
 * PKCS8 PEM (`openssl genpkey -algorithm ed25519`), `ed25519-seed:` + base64 of the 32 bytes of the seed, or of a public
 * key alone SPKI PEM or `ed25519:` + base64. Null for anything else: node:crypto's own words may quote the input.
 */
export const parseKeyText = (text: string): KeyText | null => {
  try {
    return read(text.trim())
  } catch {
    return null
  }
}
