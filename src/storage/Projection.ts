/**
 * Can jsonb hold this JSON text (PROTOCOL §3)? Not U+0000, not lone surrogates, not numbers beyond `numeric`. Cautious:
 * a doubtful number counts as too large. The text must be valid JSON.
 */
export const holdsAsJsonb = (text: string): boolean => (text.length < SHORT && !SUSPECT.test(text) ? true : scan(text))

const SHORT = 4096

// Anything that may need the exact look: an escape of U+0000 or of a surrogate, an exponent of four digits.
const SUSPECT = /\\u(?:0000|[dD][89a-fA-F])|[eE][+-]?\d{4}/

// Digits before the point: 131072, after it 16383.
const LARGEST_NUMBER = 16_000

const QUOTE = 34
const BACKSLASH = 92

const isNumberCode = (code: number): boolean =>
  (code >= 48 && code <= 57) || code === 43 || code === 45 || code === 46 || code === 69 || code === 101

const scan = (text: string): boolean => {
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = stringEnd(text, at + 1)
      if (at < 0) return false
    } else if (code === 45 || (code >= 48 && code <= 57)) {
      let end = at + 1
      while (end < text.length && isNumberCode(text.charCodeAt(end))) end += 1
      if (!holdsNumber(text.slice(at, end))) return false
      at = end
    } else {
      at += 1
    }
  }
  return true
}

/** Position after the closing quote, or -1 when the string cannot be held. */
const stringEnd = (text: string, start: number): number => {
  let at = start
  for (;;) {
    const code = text.charCodeAt(at)
    if (Number.isNaN(code) || code === QUOTE) return at + 1
    if (code !== BACKSLASH) {
      at += 1
    } else if (text.charCodeAt(at + 1) !== 117) {
      at += 2
    } else {
      const unit = Number.parseInt(text.slice(at + 2, at + 6), 16)
      if (unit === 0 || (unit >= 0xdc00 && unit <= 0xdfff)) return -1
      at += 6
      if (unit >= 0xd800 && unit <= 0xdbff) {
        const low = text.startsWith("\\u", at) ? Number.parseInt(text.slice(at + 2, at + 6), 16) : 0
        if (low < 0xdc00 || low > 0xdfff) return -1
        at += 6
      }
    }
  }
}

const holdsNumber = (number: string): boolean => {
  const mark = number.search(/[eE]/)
  const exponent = mark < 0 ? 0 : Math.abs(Number(number.slice(mark + 1)))
  return number.length + exponent <= LARGEST_NUMBER
}
