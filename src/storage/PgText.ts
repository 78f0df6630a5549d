/**
 * Text of clients that goes into columns of ours (names, reasons, tags). Postgres stores neither U+0000 nor lone
 * surrogates: they become U+FFFD. The frame itself, where the exact text is, is kept verbatim.
 */
export const pgText = (text: string): string => {
  const whole = text.isWellFormed() ? text : text.toWellFormed()
  return whole.includes("\u0000") ? whole.replaceAll("\u0000", "\ufffd") : whole
}

/** The same where there may be none. */
export const pgOptionalText = (text: string | null): string | null => (text === null ? null : pgText(text))

// What JSON.stringify writes for them; a backslash of the text itself comes doubled.
const UNHELD = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

const clean = (value: unknown): unknown => {
  if (typeof value === "string") return pgText(value)
  if (Array.isArray(value)) return value.map(clean)
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [pgText(key), clean(member)]))
  }
  return value
}

/** JSON for a parameter that jsonb takes. */
export const pgJson = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "null"
  return UNHELD.test(text) ? JSON.stringify(clean(value)) : text
}
