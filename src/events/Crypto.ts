import { createHash } from "node:crypto"
import { nodeCryptography } from "../client/NodeCryptography.ts"
import type { Ed25519, Hash } from "../protocol/Ed25519.ts"
import { isUsablePoint } from "../protocol/Keys.ts"

export const hashed: Hash = (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest())

/** By node:crypto, which Deno and Bun have too. False for whatever is wrong. */
export const ed25519: Pick<Ed25519, "verify"> = {
  verify: (key, message, signature) =>
    key.length === 32 && isUsablePoint(key) && nodeCryptography.verifier(key)(message, signature) === true
}
