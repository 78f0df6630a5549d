import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto"

/**
 * Ed25519 keys and signed frames as a client sees them (PROTOCOL §3), written against the page and not against
 * `src/protocol`: the harness is a second opinion.
 */
export interface Keypair {
  /** `ed25519:<base64>` */
  readonly text: string
  readonly publicKey: KeyObject
  readonly secretKey: KeyObject
}

const PKCS8_SEED = Buffer.from("302e020100300506032b657004220420", "hex")
const SPKI_KEY = Buffer.from("302a300506032b6570032100", "hex")

export type Tag = "trails.v1.child" | "trails.v1.server" | "trails.v1.ticket" | "trails.v1.replica"

const fromSecret = (secretKey: KeyObject): Keypair => {
  const publicKey = createPublicKey(secretKey)
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32)
  return { text: `ed25519:${raw.toString("base64")}`, publicKey, secretKey }
}

export const makeKeypair = (): Keypair => fromSecret(generateKeyPairSync("ed25519").privateKey)

export const keypairFromSeed = (seed: Uint8Array): Keypair =>
  fromSecret(createPrivateKey({ key: Buffer.concat([PKCS8_SEED, seed]), format: "der", type: "pkcs8" }))

export const publicKeyOf = (text: string): KeyObject =>
  createPublicKey({
    key: Buffer.concat([SPKI_KEY, Buffer.from(text.replace(/^ed25519:/, ""), "base64")]),
    format: "der",
    type: "spki"
  })

export const secretPem = (pair: Keypair): string => pair.secretKey.export({ format: "pem", type: "pkcs8" }).toString()

/** `message` is the JSON object without `sig`, or without `ticket` for a ticket; it ends in `}`. */
export const seal = (tag: Tag, message: string, secretKey: KeyObject): string => {
  const signature = sign(null, Buffer.from(`${tag}\n${message}`), secretKey).toString("base64")
  const member = tag === "trails.v1.ticket" ? "ticket" : "sig"
  return `${message.slice(0, -1)},"${member}":"ed25519:${signature}"}`
}

/** `,"sig":null}` in place of the last brace: a frame of level `open`. */
export const unsealed = (message: string): string => `${message.slice(0, -1)},"sig":null}`

const SUFFIX = /,"sig":"ed25519:([A-Za-z0-9+/]{86}==)"\}$/

/** Whether a server frame carries a good signature under `key`. */
export const isSealedBy = (text: string, key: KeyObject): boolean => {
  const found = SUFFIX.exec(text)
  if (found === null) return false
  return verify(
    null,
    Buffer.from(`trails.v1.server\n${text.slice(0, found.index)}}`),
    key,
    Buffer.from(found[1]!, "base64")
  )
}
