import { parseKey } from "../../protocol/Keys.ts"
import { type InnerList, parseByteSequences, parseInnerLists } from "./StructuredField.ts"

/** Seconds that a signature holds, in both directions of a clock that is off (PROTOCOL §9). */
export const SIGNATURE_WINDOW = 60

/** What has to be signed; more may be. */
export const REQUIRED_COMPONENTS = ["@method", "@authority", "@path", "@query", "content-digest"] as const

/** The parts of a request that a signature can cover, as they came. */
export interface SignedRequest {
  readonly method: string
  /** Origin form: path and query exactly as on the request line. */
  readonly target: string
  /** All values of a header, joined by `, `; null when absent. `name` in lower case. */
  readonly header: (name: string) => string | null
}

export interface SignatureRules {
  /** Names of this server, as `host[:port]`: whichever of them the client signed is right, no other is. */
  readonly authorities: ReadonlyArray<string>
  /** Seconds since 1970. */
  readonly now: number
  /** Whether `keyId` belongs to anybody; asked before any arithmetic is done for a stranger. */
  readonly isKnown: (keyId: string) => boolean
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
}

export type SignatureCode =
  | "signature_missing"
  | "signature_malformed"
  | "signature_incomplete"
  | "signature_expired"
  | "signature_invalid"
  | "key_unknown"

export type SignatureCheck =
  | {
      readonly ok: true
      readonly keyId: string
      readonly nonce: string
      /** SHA-256 that the body must have: the caller checks it, since a stranger's body is not even read. */
      readonly sha256: Uint8Array
    }
  | { readonly ok: false; readonly code: SignatureCode; readonly problem: string }

/** The key that the request says it is signed by, before anything of it is believed; null: it does not say one. */
export const keyIdOf = (request: SignedRequest): string | null => {
  const inputs = parseInnerLists(request.header("signature-input") ?? "")
  const keyId = inputs?.size === 1 ? [...inputs.values()][0]?.parameters.get("keyid") : undefined
  return typeof keyId === "string" ? keyId : null
}

const refuse = (code: SignatureCode, problem: string): SignatureCheck => ({ ok: false, code, problem })

/**
 * RFC 9421 as PROTOCOL §9 wants it: one Ed25519 signature over at least `REQUIRED_COMPONENTS`, `created` within the
 * window, a `nonce`, and a `keyid` that is the key itself. The nonce's single use is the caller's to see to.
 */
export const checkSignature = (request: SignedRequest, rules: SignatureRules): SignatureCheck => {
  const input = request.header("signature-input")
  const signatures = request.header("signature")
  if (input === null || signatures === null) {
    return refuse("signature_missing", "Sign the request by RFC 9421: Signature-Input and Signature headers are needed")
  }
  const inputs = parseInnerLists(input)
  const values = parseByteSequences(signatures)
  const [label, covered] = [...(inputs ?? [])][0] ?? []
  const signature = label === undefined ? undefined : values?.get(label)
  if (covered === undefined || inputs?.size !== 1 || values?.size !== 1 || signature?.length !== 64) {
    return refuse(
      "signature_malformed",
      "Signature-Input and Signature must hold one Ed25519 signature under the same label"
    )
  }
  return checkParameters(covered, rules) ?? checkCovered(request, covered, signature, rules)
}

const checkParameters = ({ parameters }: InnerList, rules: SignatureRules): SignatureCheck | null => {
  const created = parameters.get("created")
  const expires = parameters.get("expires")
  const nonce = parameters.get("nonce")
  const keyId = parameters.get("keyid")
  if (typeof created !== "number" || typeof nonce !== "string" || typeof keyId !== "string") {
    return refuse("signature_incomplete", "The signature needs the parameters created, nonce and keyid")
  }
  if (nonce.length < 16 || nonce.length > 128) {
    return refuse("signature_incomplete", "The nonce must be 16 to 128 characters, never used before")
  }
  if ((parameters.get("alg") ?? "ed25519") !== "ed25519")
    return refuse("signature_malformed", "alg must be ed25519, or left out")
  if (!rules.isKnown(keyId)) {
    return refuse(
      "key_unknown",
      "keyid must be the public key of the administrator, or, for what concerns a node and those below it, of that node: ed25519:<base64>"
    )
  }
  if (Math.abs(rules.now - created) > SIGNATURE_WINDOW || (typeof expires === "number" && expires < rules.now)) {
    return refuse(
      "signature_expired",
      `created must be within ${SIGNATURE_WINDOW} seconds of the server's clock, which says ${Math.floor(rules.now)}: ` +
        "sign again, and check both clocks"
    )
  }
  return null
}

const checkCovered = (
  request: SignedRequest,
  covered: InnerList,
  signature: Uint8Array,
  rules: SignatureRules
): SignatureCheck => {
  const missing = REQUIRED_COMPONENTS.filter((name) => !covered.items.includes(name))
  if (missing.length > 0 || new Set(covered.items).size !== covered.items.length) {
    return refuse("signature_incomplete", `The signature must cover, each once: ${REQUIRED_COMPONENTS.join(" ")}`)
  }
  const sha256 = parseByteSequences(request.header("content-digest") ?? "")?.get("sha-256")
  if (sha256?.length !== 32) {
    return refuse(
      "signature_incomplete",
      "Content-Digest must hold sha-256=:<base64>: of the body, of an empty one too"
    )
  }
  const keyId = String(covered.parameters.get("keyid"))
  const key = parseKey(keyId)
  for (const authority of key === null ? [] : rules.authorities) {
    const base = signatureBase(request, covered, authority)
    if (base !== null && rules.verify(key as Uint8Array, Buffer.from(base), signature)) {
      return { ok: true, keyId, nonce: String(covered.parameters.get("nonce")), sha256 }
    }
  }
  return refuse(
    "signature_invalid",
    `The signature does not fit this request at ${rules.authorities.join(" or ")}. When clients know the server by ` +
      "another name, set TRAILS_PUBLIC_URL to it"
  )
}

/** RFC 9421 §2.5; null when a covered component is not in the request or not one that we know. */
export const signatureBase = (request: SignedRequest, covered: InnerList, authority: string): string | null => {
  const query = request.target.indexOf("?")
  const derived: Readonly<Record<string, string>> = {
    "@method": request.method,
    "@authority": authority,
    "@path": query < 0 ? request.target : request.target.slice(0, query),
    "@query": query < 0 ? "?" : request.target.slice(query)
  }
  const lines: Array<string> = []
  for (const name of covered.items) {
    const value = name.startsWith("@")
      ? derived[name]
      : /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)
        ? request.header(name)
        : null
    if (value === undefined || value === null) return null
    lines.push(`"${name}": ${value}`)
  }
  return [...lines, `"@signature-params": ${covered.text}`].join("\n")
}
