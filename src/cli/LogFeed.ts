import { Answered } from "./Answered.ts"
import type { ApiAnswer } from "./Api.ts"
import { elementTexts, memberText } from "./JsonSlice.ts"
import type { LongPoll } from "./LongPoll.ts"
import { isFinal } from "./TreeRow.ts"

/** One row of a node's log (docs/rest.md), with its exact text. */
export interface LogRow {
  readonly n: number
  readonly kind: string
  readonly seq: number | null
  readonly createdAt: string
  /** Small facts of the server's about the row. */
  readonly data: Readonly<Record<string, unknown>> | null
  readonly payload: unknown
  /** `null` where there is none. */
  readonly payloadText: string
  readonly text: string
}

const rowsOf = (poll: LongPoll, answer: ApiAnswer): ReadonlyArray<LogRow> => {
  const texts = elementTexts(memberText(answer.text, "items") ?? "[]")
  return Answered.of(poll.api, answer)
    .items()
    .map((item, index) => {
      const text = texts[index] ?? "{}"
      return {
        n: item.count("n"),
        kind: item.text("kind"),
        seq: item.optionalCount("seq"),
        createdAt: item.text("created_at"),
        data: item.optionalObject("data")?.fields ?? null,
        payload: item.fields["payload"],
        payloadText: memberText(text, "payload") ?? "null",
        text
      }
    })
}

/** Rows after `after`, to the end of what there is now. */
export async function* readLog(
  poll: LongPoll,
  appId: string,
  after: number,
  signal?: AbortSignal
): AsyncGenerator<LogRow, void> {
  for (let last = after; ;) {
    const answer = await poll.once(`apps/${appId}/log`, { after: String(last), limit: "500" }, signal)
    const rows = answer === null ? [] : rowsOf(poll, answer)
    if (rows.length === 0) return
    yield* rows
    last = rows.at(-1)?.n ?? last
  }
}

const isEnded = async (poll: LongPoll, appId: string, signal: AbortSignal): Promise<boolean> => {
  const answer = await poll.once(`apps/${appId}/wait`, { timeout: "0" }, signal)
  return answer === null || isFinal(Answered.of(poll.api, answer).text("status"))
}

/** Rows by which a node ends, unless they come after its end. */
const ENDING: ReadonlySet<string> = new Set(["result", "error", "cancelled", "start_failed"])

/** Rows after `after` and those to come, until the node is in a final state or `signal` says so. */
export async function* followLog(
  poll: LongPoll,
  appId: string,
  after: number,
  signal: AbortSignal
): AsyncGenerator<LogRow, void> {
  let last = after
  let mayHaveEnded = true
  while (!signal.aborted) {
    // Asked before the rest is read: what led to the end is then among it.
    const ended = mayHaveEnded && (await isEnded(poll, appId, signal))
    mayHaveEnded = false
    for await (const row of readLog(poll, appId, last, signal)) {
      yield row
      last = row.n
      mayHaveEnded ||= ENDING.has(row.kind)
    }
    if (ended) return
    // It ended between the two: no further row would wake us.
    if (mayHaveEnded) continue
    const answer = await poll.piece(`apps/${appId}/log`, { after: String(last), limit: "500" }, signal)
    if (answer === null) return
    for (const row of rowsOf(poll, answer)) {
      yield row
      last = row.n
    }
    mayHaveEnded = true
  }
}
