import { decodeBase64, encodeBase64 } from "./Base64.ts"

const PREFIX = "ed25519:"
const KEY_TEXT = PREFIX.length + 44
const SIGNATURE_TEXT = PREFIX.length + 88

const parse = (text: string, textLength: number, length: number): Uint8Array | null => {
  if (text.length !== textLength || !text.startsWith(PREFIX)) return null
  const bytes = decodeBase64(text.slice(PREFIX.length))
  return bytes !== null && bytes.length === length ? bytes : null
}

/** 32 bytes of `ed25519:<base64>`; null unless the text is exactly what `formatKey` makes of them (PROTOCOL §1). */
export const parseKey = (text: string): Uint8Array | null => parse(text, KEY_TEXT, 32)

export const formatKey = (bytes: Uint8Array): string => PREFIX + encodeBase64(bytes)

/** 64 bytes of `ed25519:<base64>`, strict like `parseKey`. */
export const parseSignature = (text: string): Uint8Array | null => parse(text, SIGNATURE_TEXT, 64)

export const formatSignature = (bytes: Uint8Array): string => PREFIX + encodeBase64(bytes)

/**
 * The y coordinates, little-endian, of the eight points whose order divides 8, the sign bit cleared: 0, 1, p − 1, the
 * two of order 8, and those that fit into 255 bits a second time unreduced: p and p + 1. Under such a key one forged
 * signature holds for many messages.
 */
const SMALL_ORDER_Y: ReadonlyArray<string> = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
]
const SMALL_ORDER = SMALL_ORDER_Y.map((hex) => Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16)))

/** Whether the first 32 bytes encode a point of small order, canonically or not, with either sign. */
export const isSmallOrder = (bytes: Uint8Array): boolean => {
  for (const blocked of SMALL_ORDER) {
    let difference = (bytes[31]! & 0x7f) ^ blocked[31]!
    for (let index = 0; difference === 0 && index < 31; index++) difference = bytes[index]! ^ blocked[index]!
    if (difference === 0) return true
  }
  return false
}

/** Whether the y coordinate in the first 32 bytes is below p = 2^255 − 19, as RFC 8032 asks of an encoding. */
export const isCanonicalPoint = (bytes: Uint8Array): boolean => {
  if ((bytes[31]! & 0x7f) !== 0x7f) return true
  for (let index = 30; index > 0; index--) if (bytes[index] !== 0xff) return true
  return bytes[0]! < 0xed
}

/** What a public key, and the R of a signature, must be before anything is computed with it. */
export const isUsablePoint = (bytes: Uint8Array): boolean => isCanonicalPoint(bytes) && !isSmallOrder(bytes)

/** `parseKey` for a key that shall be trusted: small-order and non-canonical points are refused too. */
export const parseUsableKey = (text: string): Uint8Array | null => {
  const bytes = parseKey(text)
  return bytes !== null && isUsablePoint(bytes) ? bytes : null
}
