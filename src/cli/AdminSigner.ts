import { hash, randomBytes, sign } from "node:crypto"
import { readFileSync } from "node:fs"
import { type SignatureHeaders, signRequest } from "../client/HttpSigner.ts"
import { parseKeyText } from "../keys/KeyText.ts"
import { CliError, EXIT } from "./CliError.ts"

/** Signs requests with the administrator's key (PROTOCOL §9). */
export interface AdminSigner {
  /** `ed25519:<base64>` */
  readonly publicKey: string
  /** `body`: the text that is sent; empty when there is none. */
  readonly headers: (method: string, url: URL, body: string) => SignatureHeaders
}

const MAKE = "A key file is PKCS8 PEM, or ed25519-seed:<base64 of 32 bytes>; TRAILS_ADMIN_KEY_FILE names another one."

/** Throws a CliError (77) when the file does not give a key to sign with; no message holds any of it. */
export const readAdminKey = (path: string): AdminSigner => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error"
    throw new CliError(`The administrator's key (${path}) can't be read (${code}).`, EXIT.forbidden, MAKE)
  }
  const key = parseKeyText(text)
  if (key === null)
    throw new CliError(`${path} does not hold an Ed25519 key without a passphrase.`, EXIT.forbidden, MAKE)
  const { publicKey, secret } = key
  if (secret === null)
    throw new CliError(
      `${path} holds the public half of a key alone: nothing can be signed with it.`,
      EXIT.forbidden,
      MAKE
    )
  const signer = {
    publicKey,
    sign: (message: Uint8Array) => sign(null, message, secret),
    sha256: (bytes: Uint8Array) => hash("sha256", bytes, "buffer")
  }
  return {
    publicKey,
    headers: (method, url, body) =>
      signRequest(signer, {
        method,
        url,
        body: Buffer.from(body),
        created: Math.floor(Date.now() / 1000),
        nonce: randomBytes(18).toString("base64")
      })
  }
}
