import { createPrivateKey, createPublicKey, sign } from "node:crypto"

/** Signing straight on node:crypto: the vectors must not depend on the code that they check. */

const secret = (seed: Uint8Array) =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]),
    format: "der",
    type: "pkcs8"
  })

export const keyOf = (seed: Uint8Array): Buffer =>
  createPublicKey(secret(seed)).export({ format: "der", type: "spki" }).subarray(12)

export const keyText = (seed: Uint8Array): string => `ed25519:${keyOf(seed).toString("base64")}`

export const rawSign = (seed: Uint8Array, message: Uint8Array): Buffer => sign(null, message, secret(seed))

export type TagName = "trails.v1.child" | "trails.v1.server" | "trails.v1.ticket" | "trails.v1.replica"

export const signature = (seed: Uint8Array, tag: TagName, message: string): string =>
  `ed25519:${rawSign(seed, Buffer.from(`${tag}\n${message}`)).toString("base64")}`

/** PROTOCOL §3 and §5, written out. */
export const sealed = (seed: Uint8Array, tag: TagName, message: string): string =>
  `${message.slice(0, -1)},"${tag === "trails.v1.ticket" ? "ticket" : "sig"}":"${signature(seed, tag, message)}"}`
