import { durationMs } from "../protocol/Duration.ts"
import { Answered } from "./Answered.ts"
import { Api } from "./Api.ts"
import { usageError } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { inOneLine } from "./JsonSlice.ts"
import { followLog, type LogRow, readLog } from "./LogFeed.ts"
import { LongPoll } from "./LongPoll.ts"
import { resolveNodeId, shortId } from "./NodeId.ts"
import { notice, printJsonLine } from "./Output.ts"
import { payloadText } from "./PayloadText.ts"
import { printableLine } from "./Printable.ts"
import { findServer } from "./ServerPlace.ts"
import { readWaitAnswer, type WaitAnswer } from "./WaitAnswer.ts"
import { WAIT_EXIT, waitExit } from "./WaitVerdict.ts"

export interface WaitOptions extends CommonOptions {
  readonly any?: boolean
  readonly timeout?: string
  readonly progress?: boolean
}

const timeoutOf = (text: string | undefined): number => {
  const milliseconds = text === undefined ? Number.POSITIVE_INFINITY : durationMs(text.trim())
  if (milliseconds === null)
    throw usageError(
      `"${printableLine((text ?? "").slice(0, 64))}" is no time for --timeout.`,
      "Write seconds, or a number with a unit: 1500ms, 30s, 5m, 2h."
    )
  return milliseconds
}

/** The last that the server said when the time was over; null when it said nothing, or the wait was called off. */
const waitForEnd = async (poll: LongPoll, appId: string, signal: AbortSignal): Promise<WaitAnswer | null> => {
  let last: WaitAnswer | null = null
  do {
    const answer = await poll.piece(`apps/${appId}/wait`, {}, signal)
    if (answer === null) return signal.aborted ? null : last
    last = readWaitAnswer(poll.api, answer)
  } while (!last.ended && !poll.isOver && !signal.aborted)
  return last.ended || !signal.aborted ? last : null
}

interface Progress {
  readonly stop: () => Promise<void>
  readonly finish: () => Promise<void>
}

/** Prints the latest Status to stderr, and those to come. `stop` ends that; `finish` prints what is stored first. */
const printProgress = async (poll: LongPoll, appId: string, interrupted: AbortSignal): Promise<Progress> => {
  const app = await poll.once(`apps/${appId}`, {}, interrupted)
  let seen = app === null ? 0 : Answered.of(poll.api, app).object("metadata_json").count("n")
  const say = (payload: unknown) => notice(`${shortId(appId)} ${payloadText(payload)}`)
  const print = (row: LogRow) => {
    seen = row.n
    if (row.kind === "status") say(row.payload)
  }
  const now = await poll.once(`apps/${appId}/wait`, { timeout: "0" }, interrupted)
  const { ended, snapshot } = now === null ? { ended: true } : Answered.of(poll.api, now).fields
  if (ended === false && snapshot !== null) say(snapshot)
  const ending = new AbortController()
  const printing = (async () => {
    for await (const row of followLog(poll, appId, seen, AbortSignal.any([ending.signal, interrupted]))) print(row)
  })()
  // Whoever waits learns of it from `finish`.
  printing.catch(() => {})
  const stop = async () => {
    ending.abort()
    await printing
  }
  const finish = async () => {
    await stop()
    for await (const row of readLog(poll, appId, seen, interrupted)) print(row)
  }
  return { stop, finish }
}

const nameOf = ({ appId, appName }: WaitAnswer): string => `${shortId(appId)} ${printableLine(appName)}`

const sayEnd = (answer: WaitAnswer): void => {
  if (answer.status === "done") return
  if (!answer.ended) return notice(`trails: ${nameOf(answer)} has not ended; it is ${answer.status}`)
  const why = [answer.outcome?.reason ?? "", payloadText(answer.outcome?.payload)].filter((part) => part !== "")
  notice(`trails: ${nameOf(answer)} is ${answer.status}${why.length === 0 ? "" : `: ${why.join(" · ")}`}`)
}

export const showWait = async (names: ReadonlyArray<string>, options: WaitOptions): Promise<void> => {
  const timeoutMs = timeoutOf(options.timeout)
  const api = new Api(findServer(options.server), timeoutMs)
  const ids = [...new Set(await Promise.all(names.map((name) => resolveNodeId(api, name))))]
  const poll = new LongPoll(api, notice)
  const ending = new AbortController()
  const interrupt = new AbortController()
  const done = onInterrupt(() => {
    interrupt.abort()
    ending.abort()
  })
  const codes: Array<number> = []

  const print = async (answer: WaitAnswer): Promise<void> => {
    const { appId, payloadText: payload, status, text } = answer
    if (options.json === true) await printJsonLine(inOneLine(text))
    else if (names.length > 1)
      await printJsonLine(`{"app_id":"${appId}","status":${JSON.stringify(status)},"result":${inOneLine(payload)}}`)
    else if (answer.ended) await printJsonLine(payload)
    sayEnd(answer)
  }

  const waitFor = async (appId: string): Promise<void> => {
    const progress = options.progress === true ? await printProgress(poll, appId, interrupt.signal) : null
    const answer = await waitForEnd(poll, appId, ending.signal)
    // Of --any the first alone counts; the others are called off, or have ended in the same moment.
    const counts = options.any !== true || !ending.signal.aborted
    if (counts && answer?.ended === true && options.any === true) ending.abort()
    // Of one that was called off nothing is asked any more: its server may be away, for long.
    await (counts && answer !== null ? progress?.finish() : progress?.stop())
    if (!counts || (answer === null && ending.signal.aborted)) return
    codes.push(answer === null ? WAIT_EXIT.timeout : waitExit(answer.status))
    if (answer !== null && (answer.ended || options.any !== true)) await print(answer)
  }

  try {
    await Promise.all(ids.map(waitFor))
  } finally {
    ending.abort()
    done()
  }
  // A signal has set its own.
  process.exitCode ??= options.any === true ? Math.min(...codes) : Math.max(...codes)
}
