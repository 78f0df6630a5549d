import { Answered, type Fields } from "./Answered.ts"
import { Api, type ApiAnswer } from "./Api.ts"
import { CliError, EXIT } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { elementTexts, inOneLine, memberText } from "./JsonSlice.ts"
import { factsText, kindLine } from "./KindLine.ts"
import { LongPoll } from "./LongPoll.ts"
import { resolveNodeId, shortId } from "./NodeId.ts"
import { notice, printJsonLine, printLine, terminalWidth } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { payloadText } from "./PayloadText.ts"
import { findServer } from "./ServerPlace.ts"
import { clockText } from "./TimeText.ts"

export interface WatchOptions extends CommonOptions {
  readonly kind?: string
  readonly from?: string
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
  const { session: _session, ...told } = (typeof facts === "object" && facts !== null ? facts : {}) as Fields
  return factsText(told)
}

const lineOf = (event: Answered, now: Date, width: number | null, paint: Paint): string => {
  const data = event.object("data")
  const head = `${clockText(new Date(event.text("time")), now)}  ${shortId(data.id("app_id"))}  `
  return kindLine(head, data.text("kind"), `${data.text("app_name")}  ${detailOf(data)}`.trimEnd(), width, paint)
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
