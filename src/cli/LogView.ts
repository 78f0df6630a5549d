import { Api } from "./Api.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { inOneLine } from "./JsonSlice.ts"
import { followLog, type LogRow, readLog } from "./LogFeed.ts"
import { LongPoll } from "./LongPoll.ts"
import { resolveNodeId } from "./NodeId.ts"
import { notice, printJsonLine, printLine, terminalWidth } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"
import { cutToWidth } from "./TextWidth.ts"
import { clockText } from "./TimeText.ts"

export interface LogOptions extends CommonOptions {
  readonly follow?: boolean
}

const KIND_STYLE: Readonly<Record<string, Parameters<Paint>[0]>> = {
  result: "green",
  error: "red",
  crash: "red",
  lost_contact: "red",
  start_failed: "magenta",
  impostor: "red",
  refused: "yellow",
  cancelled: "yellow",
  reconnecting: "yellow"
}

const factsOf = (row: LogRow): string =>
  Object.entries(row.data ?? {})
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ")

/** `width`: null for lines of any length. */
export const logLine = (row: LogRow, now: Date, width: number | null, paint: Paint): string => {
  const head = `${String(row.n).padStart(4)}  ${clockText(new Date(row.createdAt), now)}  `
  const kind = printableLine(row.kind).padEnd(12)
  const said = [row.payloadText === "null" ? "" : inOneLine(row.payloadText), factsOf(row)].filter(
    (part) => part !== ""
  )
  const rest = printableLine(said.join("  "))
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(width - head.length - kind.length - 1, 8)
  return `${paint("gray", head)}${paint(KIND_STYLE[row.kind] ?? "cyan", kind)} ${cutToWidth(rest, room)}`.trimEnd()
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
