/**
 * What may not reach a terminal as it is: controls (escape sequences begin with one), format characters (those of writing
 * direction make text read otherwise than it is, others can't be seen), line and paragraph separators, halves of
 * surrogate pairs, and letters without a picture.
 */
const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, "0")}`

/** By UTF-16 units, as JSON has it. */
const escaped = (character: string): string =>
  SHORT[character] ?? Array.from({ length: character.length }, (_, at) => unit(character.charCodeAt(at))).join("")

/** A stranger's text for one line of a terminal: every character that would do something there is escaped. */
export const printableLine = (text: string): string => text.replace(HARMFUL, escaped)

/** Text of several lines: line feeds stay. */
export const printable = (text: string): string => text.split("\n").map(printableLine).join("\n")

/** JSON text with the same meaning: its line feeds, tabs and carriage returns stand between values. */
export const printableJson = (text: string): string => printable(text.replaceAll("\t", " ").replaceAll("\r", ""))
