import type { LogRow } from "../../storage/LogRow.ts"

/** Integers beyond 2^53 become strings: a reader's JSON.parse would round them. */
const exact = (_key: string, value: unknown): unknown =>
  typeof value !== "bigint" ? value : Number.isSafeInteger(Number(value)) ? Number(value) : value.toString()

export const jsonText = (value: unknown): string => JSON.stringify(value, exact)

/** A time of the database's clock; null: it has not come. */
export const instant = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** Members, and behind them those of which there is JSON text already: no number in it is rounded on the way. */
export const exactText = (members: object, texts: Readonly<Record<string, string | null>>): string => {
  const exactly = Object.entries(texts).map(([name, text]) => `,"${name}":${text ?? "null"}`)
  return `${jsonText(members).slice(0, -1)}${exactly.join("")}}`
}

/** A page: its items and where the next one begins, null when there is none. */
export const pageText = (items: ReadonlyArray<string>, next: string | number | null): string =>
  `{"items":[${items.join(",")}],"next":${JSON.stringify(next)}}`

/** Column names as in the SQL views. `payload` is the exact text, so that no number in it is rounded on the way. */
export const logText = (row: LogRow): string => {
  const { payload, ...rest } = row
  const members = {
    id: rest.id,
    app_id: rest.appId,
    n: rest.n,
    kind: rest.kind,
    incarnation: rest.incarnation,
    epoch: rest.epoch,
    seq: rest.seq,
    correlation_id: rest.correlationId,
    path_version: rest.pathVersion,
    bytes: rest.bytes,
    data: rest.data,
    frame: rest.frame,
    traceparent: rest.traceparent,
    created_at: instant(rest.createdAt)
  }
  return exactText(members, { payload })
}
