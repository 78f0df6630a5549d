import { hash, randomBytes, sign } from "node:crypto"
import { signRequest } from "../../src/client/HttpSigner.ts"
import type { Keypair } from "./Keypair.ts"

/** Who signs, and the name under which he knows the server: one for all replicas, wherever the call is sent. */
export interface Signatory {
  readonly key: Keypair
  /** `TRAILS_PUBLIC_URL` */
  readonly publicUrl: string
}

/** A call to `path` that `rest` sends, signed by RFC 9421 (PROTOCOL §9). It can be sent twice, as a recording of it could. */
export const signedCall = (
  { key, publicUrl }: Signatory,
  method: "GET" | "POST",
  path: string,
  body?: unknown
): RequestInit => {
  const text = body === undefined ? "" : JSON.stringify(body)
  const signer = {
    publicKey: key.text,
    sign: (message: Uint8Array) => sign(null, message, key.secretKey),
    sha256: (bytes: Uint8Array) => hash("sha256", bytes, "buffer")
  }
  const signature = signRequest(signer, {
    method,
    url: `${publicUrl}/api/v1/${path}`,
    body: Buffer.from(text),
    created: Math.floor(Date.now() / 1000),
    nonce: randomBytes(18).toString("base64")
  })
  return body === undefined
    ? { method, headers: { ...signature } }
    : { method, headers: { ...signature, "content-type": "application/json" }, body: text }
}
