import { decodeBase64, encodeBase64 } from "../protocol/Base64.ts"

/** What a signature needs from its surroundings; both work in browsers too. */
export interface HttpSigningKey {
  /** `ed25519:` + base64 of the public half: the signature's `keyid`. */
  readonly publicKey: string
  /** 64 bytes of Ed25519 over exactly `message`. */
  readonly sign: (message: Uint8Array) => Uint8Array
  readonly sha256: (bytes: Uint8Array) => Uint8Array
}

export interface HttpRequestToSign {
  readonly method: string
  readonly url: string | URL
  /** The exact bytes of the body; empty when there is none. */
  readonly body: Uint8Array
  /** Seconds since 1970, of the caller's clock. */
  readonly created: number
  /** 16 random bytes or more, base64: never used before. */
  readonly nonce: string
}

export type SignatureHeaders = Readonly<Record<"content-digest" | "signature-input" | "signature", string>>

const COVERED = '("@method" "@authority" "@path" "@query" "content-digest")'

/**
 * The headers that sign a request to the REST API (PROTOCOL §9): RFC 9421 with `ed25519`, RFC 9530 content digest,
 * which covers the empty body too. Valid for 60 seconds and, when the call changes something, for one use.
 */
export const signRequest = (key: HttpSigningKey, request: HttpRequestToSign): SignatureHeaders => {
  if ((decodeBase64(request.nonce)?.length ?? 0) < 16)
    throw new TypeError("nonce must be base64 of 16 random bytes or more")
  const url = new URL(request.url)
  const digest = `sha-256=:${encodeBase64(key.sha256(request.body))}:`
  const parameters = `${COVERED};created=${request.created};nonce="${request.nonce}";keyid="${key.publicKey}";alg="ed25519"`
  const base = [
    `"@method": ${request.method.toUpperCase()}`,
    `"@authority": ${url.host}`,
    `"@path": ${url.pathname}`,
    `"@query": ${url.search === "" ? "?" : url.search}`,
    `"content-digest": ${digest}`,
    `"@signature-params": ${parameters}`
  ].join("\n")
  const signature = encodeBase64(key.sign(new TextEncoder().encode(base)))
  return { "content-digest": digest, "signature-input": `sig1=${parameters}`, signature: `sig1=:${signature}:` }
}
