/**
 * What may not reach a terminal as it is: controls (escape sequences begin with one), format characters (those of writing
 * direction make text read otherwise than it is, others can't be seen), line and paragraph separators, halves of
 * surrogate pairs, and letters without a picture.
 */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const escaped = (character: string): string => {
  const code = character.codePointAt(0) ?? 0
  return SHORT[character] ?? (code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`)
}

/** A stranger's text for one line of a terminal: every character that would do something there is escaped. */
export const printableLine = (text: string): string => text.replace(HARMFUL, escaped)

/** Text of several lines: line feeds stay. */
export const printable = (text: string): string => text.split("\n").map(printableLine).join("\n")
