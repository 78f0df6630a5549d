import { decodeBase64 } from "./Base64.ts"
import { memberText, type JsonScan } from "./JsonScan.ts"
import { parseUsableKey } from "./Keys.ts"
import { isUuid, parseUuid } from "./Uuid.ts"

const INTEGER = /^-?(?:0|[1-9][0-9]{0,15})$/
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-[!-~]*$)/

/** Size in UTF-8 bytes of well-formed text. */
export const utf8Length = (text: string): number => {
  let length = text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    // Each half of a surrogate pair is 2 of its 4 bytes.
    if (code > 0x7f) length += code > 0x7ff && (code < 0xd800 || code > 0xdfff) ? 2 : 1
  }
  return length
}

export const fits = (text: string, limit: number): boolean =>
  text.length * 3 <= limit || (text.length <= limit && utf8Length(text) <= limit)

/** Text that Postgres, NATS and every language's strings can hold. */
export const isPlain = (text: string): boolean => text.isWellFormed() && !text.includes("\0")

/** A W3C trace context that can be used; anything else is treated as absent, as that standard asks. */
export const asTraceparent = (value: unknown): string | null =>
  typeof value === "string" &&
  value.length <= 256 &&
  TRACEPARENT.test(value) &&
  (value.length === 55 || value[1] !== "0")
    ? value
    : null

/**
 * Reads the fields of one protocol object. The first field that is not what PROTOCOL §3 says stays in `problem`;
 * everything read afterwards is a placeholder and must not be used. Optional fields may be absent or null.
 */
export class FieldReader {
  problem: string | null = null
  readonly #text: string
  readonly #scan: JsonScan
  readonly #value: Readonly<Record<string, unknown>>
  readonly #path: string

  /** `value` is JSON.parse of the object that `scan` found in `text`; `path` names it in messages. */
  constructor(text: string, scan: JsonScan, value: unknown, path = "") {
    this.#text = text
    this.#scan = scan
    this.#value = value as Readonly<Record<string, unknown>>
    this.#path = path
  }

  fail(key: string, expectation: string): void {
    this.problem ??= `${this.#path}${key} must be ${expectation}`
  }

  /** The value as parsed; undefined when absent or null. */
  raw(key: string): unknown {
    const value = this.#value[key]
    return value === null ? undefined : value
  }

  has(key: string): boolean {
    return this.#scan.keys.includes(key)
  }

  /** The exact text of the member, or null. */
  slice(key: string): string | null {
    return memberText(this.#text, this.#scan, key)
  }

  optionalString(key: string, limit: number): string | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (typeof value === "string" && fits(value, limit) && isPlain(value)) return value
    this.fail(key, `a string of at most ${limit} bytes of well-formed Unicode without U+0000`)
    return undefined
  }

  string(key: string, limit: number): string {
    const value = this.optionalString(key, limit)
    if (value === undefined) this.fail(key, `a string of at most ${limit} bytes`)
    return value ?? ""
  }

  /** An integer, written as one: no fraction, no exponent. `least` and `most` are inclusive, and within ±(2^53 − 1). */
  optionalInteger(key: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (typeof value === "number" && value >= least && value <= most && INTEGER.test(this.slice(key) ?? ""))
      return value + 0
    this.fail(key, `an integer from ${least} to ${most}`)
    return undefined
  }

  integer(key: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.optionalInteger(key, least, most)
    if (value === undefined) this.fail(key, `an integer from ${least} to ${most}`)
    return value ?? 0
  }

  /** `anyCase`: upper-case digits are taken too, and lower-cased. */
  optionalUuid(key: string, anyCase = false): string | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (isUuid(value)) return value
    const parsed = anyCase && typeof value === "string" ? parseUuid(value) : null
    if (parsed !== null) return parsed
    this.fail(key, anyCase ? "a UUID" : "a UUID in lower case")
    return undefined
  }

  uuid(key: string, anyCase = false): string {
    const value = this.optionalUuid(key, anyCase)
    if (value === undefined) this.fail(key, "a UUID")
    return value ?? ""
  }

  optionalKey(key: string): string | undefined {
    const value = this.raw(key)
    if (value === undefined) return undefined
    if (typeof value === "string" && parseUsableKey(value) !== null) return value
    this.fail(key, "a public key: ed25519: and the strict base64 of 32 bytes, not a point of small order")
    return undefined
  }

  key(key: string): string {
    const value = this.optionalKey(key)
    if (value === undefined) this.fail(key, "a public key: ed25519: and the strict base64 of 32 bytes")
    return value ?? ""
  }

  /** Base64 of `length` bytes, as text. */
  nonce(key: string, length = 32): string {
    const value = this.raw(key)
    if (typeof value === "string" && value.length <= 4 * length && decodeBase64(value)?.length === length) return value
    this.fail(key, `the strict base64 of ${length} bytes`)
    return ""
  }

  /** A list of strings; absent or null is the empty one. */
  strings(key: string, most: number, limit: number): ReadonlyArray<string> {
    const value = this.raw(key)
    if (value === undefined) return []
    if (
      Array.isArray(value) &&
      value.length <= most &&
      value.every((item) => typeof item === "string" && fits(item, limit) && isPlain(item))
    )
      return value as ReadonlyArray<string>
    this.fail(key, `a list of at most ${most} strings of at most ${limit} bytes each`)
    return []
  }

  oneOf<const A extends string>(key: string, allowed: ReadonlyArray<A>, fallback?: A): A {
    const value = this.raw(key)
    if (value === undefined && fallback !== undefined) return fallback
    if (typeof value === "string" && (allowed as ReadonlyArray<string>).includes(value)) return value as A
    this.fail(key, `one of ${allowed.join(", ")}`)
    return allowed[0]!
  }
}
