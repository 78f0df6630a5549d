import { Api } from "./Api.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { inOneLine } from "./JsonSlice.ts"
import { factsText, kindLine } from "./KindLine.ts"
import { followLog, type LogRow, readLog } from "./LogFeed.ts"
import { LongPoll } from "./LongPoll.ts"
import { resolveNodeId } from "./NodeId.ts"
import { notice, printJsonLine, printLine, terminalWidth } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { findServer } from "./ServerPlace.ts"
import { clockText } from "./TimeText.ts"

export interface LogOptions extends CommonOptions {
  readonly follow?: boolean
}

/** `width`: null for lines of any length. */
export const logLine = (row: LogRow, now: Date, width: number | null, paint: Paint): string => {
  const head = `${String(row.n).padStart(4)}  ${clockText(new Date(row.createdAt), now)}  `
  const said = [row.payloadText === "null" ? "" : inOneLine(row.payloadText), factsText(row.data ?? {})].filter(
    (part) => part !== ""
  )
  return kindLine(head, row.kind, said.join("  "), width, paint)
}

export const showLog = async (id: string, options: LogOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const appId = await resolveNodeId(api, id)
  const ending = new AbortController()
  const ended = onInterrupt(() => ending.abort())
  const poll = new LongPoll(api, notice)
  const rows =
    options.follow === true ? followLog(poll, appId, 0, ending.signal) : readLog(poll, appId, 0, ending.signal)
  for await (const row of rows) {
    if (options.json === true) await printJsonLine(inOneLine(row.text))
    else await printLine(logLine(row, new Date(), terminalWidth(), paintFor(process.stdout)))
  }
  ended()
}
