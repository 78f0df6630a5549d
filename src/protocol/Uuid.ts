const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The one form that v1 frames carry: 8-4-4-4-12 lower-case hexadecimal digits, any version. */
export const isUuid = (text: unknown): text is string =>
  typeof text === "string" && text.length === 36 && CANONICAL.test(text)

/** For input by people and legacy clients (RFC 9562 §4: case is ignored on input): the canonical form, or null. */
export const parseUuid = (text: string): string | null => {
  const lower = text.toLowerCase()
  return isUuid(lower) ? lower : null
}

/** The 16 bytes of a canonical UUID. */
export const uuidBytes = (uuid: string): Uint8Array => {
  const digits = uuid.replaceAll("-", "")
  const bytes = new Uint8Array(16)
  for (let index = 0; index < 16; index++) bytes[index] = parseInt(digits.slice(index * 2, index * 2 + 2), 16)
  return bytes
}
