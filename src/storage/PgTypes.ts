/**
 * Values of a text-format result, the same for `pg` and PGlite: int8 as a number (ids and counters stay below 2^53),
 * timestamptz as ISO 8601 text, json and jsonb parsed, numeric and everything else as text.
 */
type Decode = (text: string) => unknown

const instant: Decode = (text) => {
  const iso = text.replace(" ", "T")
  return iso.endsWith("+00") ? `${iso.slice(0, -3)}Z` : iso
}

const decoders: ReadonlyMap<number, Decode> = new Map<number, Decode>([
  [16, (text) => text === "t"],
  [20, Number],
  [21, Number],
  [23, Number],
  [26, Number],
  [700, Number],
  [701, Number],
  [114, (text) => JSON.parse(text)],
  [3802, (text) => JSON.parse(text)],
  [1184, instant]
])

const asText: Decode = (text) => text

export const decoderOf = (oid: number): Decode => decoders.get(oid) ?? asText

/**
 * Text, or null: both adapters send every parameter as text, and Postgres infers its type from the statement. Objects go
 * as JSON.
 */
export const parameterText = (value: unknown): string | null => {
  if (value === null || value === undefined) return null
  if (typeof value === "string") return value
  return typeof value === "object" ? JSON.stringify(value) : `${value as number | boolean | bigint}`
}
