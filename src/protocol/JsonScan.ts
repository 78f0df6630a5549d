import { DEPTH, MEMBERS } from "./Limits.ts"

/**
 * Finds the exact slices of one JSON object's members without building values. It is no validator: for valid JSON its
 * slices are exact, of anything else it may accept some and JSON.parse decides. It neither recurses nor looks at a
 * character more than twice, whatever the input.
 */
export interface JsonScan {
  readonly keys: ReadonlyArray<string>
  /** Member i is `text.slice(starts[i], ends[i])`, without surrounding white space. */
  readonly starts: ReadonlyArray<number>
  readonly ends: ReadonlyArray<number>
}

/**
 * `syntax`: this is not a JSON object. The others may be one, but not one that a frame can be. `escape`: a member's
 * name is written with escapes. No name of the protocol needs one, two spellings of a name invite two readings, and
 * V8's JSON.parse (13.6) gives such members wrong names after it has met names that contain a backslash.
 */
export type ScanFault = "syntax" | "depth" | "duplicate" | "members" | "escape"

const QUOTE = 34
const COMMA = 44
const COLON = 58
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

const skipSpace = (text: string, from: number): number => {
  let at = from
  for (;;) {
    const code = text.charCodeAt(at)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at
    at++
  }
}

/** `from` is just behind the opening quote; gives the place behind the closing one, or -1. */
const skipString = (text: string, from: number): number => {
  let quote = text.indexOf('"', from)
  while (quote !== -1) {
    let slash = quote
    while (slash > from && text.charCodeAt(slash - 1) === BACKSLASH) slash--
    if ((quote - slash) % 2 === 0) return quote + 1
    quote = text.indexOf('"', quote + 1)
  }
  return -1
}

/** The place behind the value that starts at `from`; -1: never ends; -2: nests deeper than `room`. */
const skipValue = (text: string, from: number, room: number): number => {
  let at = from
  let depth = 0
  for (;;) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at + 1)
      if (at === -1 || depth === 0) return at
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > room) return -2
      at++
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth === 0) return at
      at++
      if (--depth === 0) return at
    } else if (code === COMMA || code === 32 || code === 10 || code === 13 || code === 9) {
      if (depth === 0) return at
      at++
    } else if (code !== code) {
      return -1
    } else at++
  }
}

/**
 * Scans the object that starts at `start` (white space allowed before it) and must end at `end`. `depth` is that of
 * the object itself. `only`: stop at that member, the rest stays unread (for `app_id` before the verification).
 */
export const scanObject = (
  text: string,
  start = 0,
  end = text.length,
  depth = 1,
  only: string | null = null
): JsonScan | ScanFault => {
  const keys: Array<string> = []
  const starts: Array<number> = []
  const ends: Array<number> = []
  let at = skipSpace(text, start)
  if (text.charCodeAt(at) !== OPEN_BRACE) return "syntax"
  at = skipSpace(text, at + 1)
  if (text.charCodeAt(at) === CLOSE_BRACE) return skipSpace(text, at + 1) === end ? { keys, starts, ends } : "syntax"
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE) return "syntax"
    const keyEnd = skipString(text, at + 1)
    if (keyEnd === -1) return "syntax"
    const key = text.slice(at + 1, keyEnd - 1)
    if (key.includes("\\")) return "escape"
    at = skipSpace(text, keyEnd)
    if (text.charCodeAt(at) !== COLON) return "syntax"
    at = skipSpace(text, at + 1)
    const valueEnd = skipValue(text, at, DEPTH - depth)
    if (valueEnd < 0) return valueEnd === -1 ? "syntax" : "depth"
    if (valueEnd === at) return "syntax"
    if (keys.includes(key)) return "duplicate"
    if (keys.length === MEMBERS) return "members"
    keys.push(key)
    starts.push(at)
    ends.push(valueEnd)
    if (key === only) return { keys, starts, ends }
    at = skipSpace(text, valueEnd)
    const code = text.charCodeAt(at)
    if (code === CLOSE_BRACE) return skipSpace(text, at + 1) === end ? { keys, starts, ends } : "syntax"
    if (code !== COMMA) return "syntax"
    at = skipSpace(text, at + 1)
  }
}

/** The exact text of a member, or null when the object has none of that name. */
export const memberText = (text: string, scan: JsonScan, key: string): string | null => {
  const index = scan.keys.indexOf(key)
  return index === -1 ? null : text.slice(scan.starts[index], scan.ends[index])
}
