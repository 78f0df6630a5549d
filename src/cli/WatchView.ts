import { Answered } from "./Answered.ts"
import { Api, type ApiAnswer } from "./Api.ts"
import { CliError, EXIT } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { elementTexts, inOneLine, memberText } from "./JsonSlice.ts"
import { LongPoll } from "./LongPoll.ts"
import { resolveNodeId, shortId } from "./NodeId.ts"
import { notice, printJsonLine, printLine, terminalWidth } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { payloadText } from "./PayloadText.ts"
import { printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"
import { cutToWidth } from "./TextWidth.ts"
import { clockText } from "./TimeText.ts"

export interface WatchOptions extends CommonOptions {
  readonly kind?: string
  readonly from?: string
}

const KIND_STYLE: Readonly<Record<string, Parameters<Paint>[0]>> = {
  result: "green",
  error: "red",
  crash: "red",
  lost_contact: "red",
  start_failed: "magenta",
  impostor: "red",
  cancelled: "yellow",
  reconnecting: "yellow"
}

/** What the child said, out of its frame; what the server knows of it otherwise. */
const detailOf = (data: Answered): string => {
  const frame = data.optionalText("frame")
  const kind = data.text("kind")
  if (frame !== null && (kind === "status" || kind === "result" || kind === "error")) {
    try {
      const said = payloadText((JSON.parse(frame) as { readonly payload?: unknown }).payload)
      if (said !== "") return said
    } catch {
      // A frame is as its child has written it.
    }
  }
  const { facts } = data.fields
  return Object.entries(typeof facts === "object" && facts !== null ? facts : {})
    .filter(([name]) => name !== "session")
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ")
}

const lineOf = (event: Answered, now: Date, width: number | null, paint: Paint): string => {
  const data = event.object("data")
  const kind = printableLine(data.text("kind")).padEnd(12)
  const head = `${clockText(new Date(event.text("time")), now)}  ${shortId(data.id("app_id"))}  `
  const rest = printableLine(`${data.text("app_name")}  ${detailOf(data)}`).trimEnd()
  const room = width === null ? Number.POSITIVE_INFINITY : Math.max(width - head.length - kind.length - 1, 8)
  return `${paint("gray", head)}${paint(KIND_STYLE[kind.trimEnd()] ?? "cyan", kind)} ${cutToWidth(rest, room)}`.trimEnd()
}

/**
 * What happens at and below a node, or anywhere, as it happens. It goes on behind the last event that was printed, also when
 * the server was away meanwhile: none is missing, and none comes twice.
 */
export const watchEvents = async (id: string | undefined, options: WatchOptions): Promise<void> => {
  const api = new Api(findServer(options.server))
  const appId = id === undefined ? null : await resolveNodeId(api, id)
  const query = {
    ...(appId === null ? {} : { app: appId }),
    ...(options.kind === undefined ? {} : { kind: options.kind })
  }
  const ending = new AbortController()
  const done = onInterrupt(() => ending.abort())
  const poll = new LongPoll(api, notice)
  const paint = paintFor(process.stdout)
  const cursorOf = (answer: ApiAnswer) => Answered.of(api, answer).next() ?? "0"
  const first = options.from === undefined ? await poll.once("events", query, ending.signal) : null
  let cursor = options.from ?? (first === null ? "0" : cursorOf(first))
  while (!ending.signal.aborted) {
    const answer = await poll.piece("events", { ...query, after: cursor, limit: "500" }, ending.signal)
    if (answer === null) break
    const texts = elementTexts(memberText(answer.text, "items") ?? "[]")
    for (const [index, event] of Answered.of(api, answer).items().entries()) {
      if (options.json === true) await printJsonLine(inOneLine(texts[index] ?? "{}"))
      else await printLine(lineOf(event, new Date(answer.now), terminalWidth(), paint))
    }
    const next = cursorOf(answer)
    if (next === cursor && texts.length > 0)
      throw new CliError("The server's cursor does not move on.", EXIT.unavailable, "Is it a trailsd of this version?")
    cursor = next
  }
  done()
}
