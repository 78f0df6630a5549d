const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
const INVALID = 255
const PADDING = 61
const VALUE_OF = new Uint8Array(128).fill(INVALID)
for (let value = 0; value < 64; value++) VALUE_OF[ALPHABET.charCodeAt(value)] = value

const valueAt = (text: string, index: number): number => {
  const code = text.charCodeAt(index)
  return code < 128 ? VALUE_OF[code]! : INVALID
}

/** Standard padded base64 (RFC 4648 §4). */
export const encodeBase64 = (bytes: Uint8Array): string => {
  let text = ""
  let index = 0
  for (; index + 2 < bytes.length; index += 3) {
    const group = (bytes[index]! << 16) | (bytes[index + 1]! << 8) | bytes[index + 2]!
    text +=
      ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]! + ALPHABET[(group >> 6) & 63]! + ALPHABET[group & 63]!
  }
  if (index + 1 === bytes.length) {
    const group = bytes[index]! << 16
    text += ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]! + "=="
  } else if (index + 2 === bytes.length) {
    const group = (bytes[index]! << 16) | (bytes[index + 1]! << 8)
    text += ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]! + ALPHABET[(group >> 6) & 63]! + "="
  }
  return text
}

/** Strict: null unless encoding the bytes again gives the same text (alphabet, padding, unused bits zero). */
export const decodeBase64 = (text: string): Uint8Array | null => {
  const length = text.length
  if (length % 4 !== 0) return null
  if (length === 0) return new Uint8Array(0)
  const pads = text.charCodeAt(length - 1) !== PADDING ? 0 : text.charCodeAt(length - 2) !== PADDING ? 1 : 2
  const bytes = new Uint8Array((length / 4) * 3 - pads)
  const whole = pads === 0 ? length : length - 4
  let at = 0
  for (let index = 0; index < whole; index += 4) {
    const a = valueAt(text, index)
    const b = valueAt(text, index + 1)
    const c = valueAt(text, index + 2)
    const d = valueAt(text, index + 3)
    if (a === INVALID || b === INVALID || c === INVALID || d === INVALID) return null
    const group = (a << 18) | (b << 12) | (c << 6) | d
    bytes[at++] = group >> 16
    bytes[at++] = (group >> 8) & 255
    bytes[at++] = group & 255
  }
  if (pads === 0) return bytes
  const a = valueAt(text, whole)
  const b = valueAt(text, whole + 1)
  const c = pads === 2 ? 0 : valueAt(text, whole + 2)
  if (a === INVALID || b === INVALID || c === INVALID) return null
  if (pads === 2 ? (b & 15) !== 0 : (c & 3) !== 0) return null
  bytes[at++] = (a << 2) | (b >> 4)
  if (pads === 1) bytes[at++] = ((b & 15) << 4) | (c >> 2)
  return bytes
}
