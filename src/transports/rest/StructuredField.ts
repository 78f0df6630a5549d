import { decodeBase64 } from "../../protocol/Base64.ts"

/**
 * The part of RFC 9651 that signatures and digests use: dictionaries of byte sequences, and of inner lists of strings
 * with string or integer parameters. Stricter than the RFC on purpose: only the canonical serialisation is read, so
 * that the text which is verified is the text which was understood.
 */
export interface InnerList {
  readonly items: ReadonlyArray<string>
  readonly parameters: ReadonlyMap<string, string | number>
  /** The member's value exactly as it stands in the header: what `@signature-params` covers. */
  readonly text: string
}

const KEY = /[a-z*][a-z0-9_.*-]{0,63}/y
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y
const INTEGER = /-?(?:0|[1-9]\d{0,14})(?![\d.])/y
const BYTES = /:([A-Za-z0-9+/]*={0,2}):/y

class Reader {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  get done(): boolean {
    return this.at === this.text.length
  }

  match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (found !== null) this.at = pattern.lastIndex
    return found
  }

  /** Takes `literal` if it comes next. */
  take(literal: string): boolean {
    if (!this.text.startsWith(literal, this.at)) return false
    this.at += literal.length
    return true
  }

  string(): string | null {
    return this.match(STRING)?.[1]?.replace(/\\(.)/g, "$1") ?? null
  }
}

/** Reads `a=…, b=…`; null when anything in it is not what `member` reads, or a key comes twice. */
const dictionary = <A>(text: string, member: (reader: Reader) => A | null): ReadonlyMap<string, A> | null => {
  const reader = new Reader(text)
  const members = new Map<string, A>()
  do {
    const key = reader.match(KEY)?.[0]
    if (key === undefined || members.has(key) || !reader.take("=")) return null
    const value = member(reader)
    if (value === null) return null
    members.set(key, value)
  } while (reader.take(", ") || reader.take(","))
  return reader.done ? members : null
}

/** `a=:<base64>:, b=:<base64>:` */
export const parseByteSequences = (text: string): ReadonlyMap<string, Uint8Array> | null =>
  dictionary(text, (reader) => {
    const found = reader.match(BYTES)
    return found === null ? null : decodeBase64(found[1] ?? "")
  })

/** `a=("x" "y");p=1;q="z"` */
export const parseInnerLists = (text: string): ReadonlyMap<string, InnerList> | null => dictionary(text, innerList)

const innerList = (reader: Reader): InnerList | null => {
  const start = reader.at
  if (!reader.take("(")) return null
  const items: Array<string> = []
  while (!reader.take(")")) {
    if (items.length > 0 && !reader.take(" ")) return null
    const item = reader.string()
    if (item === null) return null
    items.push(item)
  }
  const parameters = new Map<string, string | number>()
  while (reader.take(";")) {
    const key = reader.match(KEY)?.[0]
    if (key === undefined || parameters.has(key) || !reader.take("=")) return null
    const integer = reader.match(INTEGER)?.[0]
    const value = integer === undefined ? reader.string() : Number(integer)
    if (value === null) return null
    parameters.set(key, value)
  }
  return { items, parameters, text: reader.text.slice(start, reader.at) }
}
