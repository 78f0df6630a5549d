import { setTimeout as delay } from "node:timers/promises"
import { Answered } from "./Answered.ts"
import type { Api } from "./Api.ts"
import { AskedNodes } from "./AskedNodes.ts"
import {
  BAD_OUTCOMES,
  barOf,
  type CascadeAnswer,
  endedWell,
  hasNobody,
  outcomesText,
  progressOf,
  readCascade,
  resultText,
  titleOf,
  tookText
} from "./CascadeAnswer.ts"
import { EXIT, withRemedy } from "./CliError.ts"
import type { CommonOptions } from "./CommonOptions.ts"
import { onInterrupt } from "./Interrupt.ts"
import { inOneLine } from "./JsonSlice.ts"
import { LiveScreen } from "./LiveScreen.ts"
import { LongPoll } from "./LongPoll.ts"
import { shortId } from "./NodeId.ts"
import { notice, printText, writeJsonText } from "./Output.ts"
import { paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"
import { cutToWidth } from "./TextWidth.ts"

/** Nodes that are named: of each bad outcome, and of those that are being asked. */
const NAMED = 20
const ASKED = 8
const LOOK_MS = 300

const namesOf = async (api: Api, id: string, outcome: string): Promise<ReadonlyArray<string>> => {
  const answer = await api.get(`cascades/${id}/nodes`, { outcome, limit: String(NAMED) })
  return Answered.of(api, answer)
    .items()
    .map((node) => `${shortId(node.id("app_id"))} ${printableLine(node.text("app_name"))}`)
}

/** What came out, with the names of those with whom it went badly. */
const report = async (api: Api, cascade: CascadeAnswer): Promise<void> => {
  printText(`${titleOf(cascade)}: ${resultText(cascade)} in ${tookText(cascade)}`)
  for (const outcome of BAD_OUTCOMES) {
    const count = cascade.outcomes[outcome]
    if (count === 0 || cascade.id === null) continue
    const names = await namesOf(api, cascade.id, outcome)
    for (const name of names) printText(`  ${outcome.padEnd(11)}  ${name}`)
    if (count > names.length) printText(`  ${outcome.padEnd(11)}  … ${count - names.length} more`)
  }
}

/** Calls `changed` whenever it looks, until the operation is through or was called off. */
const follow = async (
  poll: LongPoll,
  id: string,
  changed: (cascade: CascadeAnswer) => void,
  signal: AbortSignal
): Promise<CascadeAnswer | null> => {
  for (;;) {
    const answer = await poll.once(`cascades/${id}`, {}, signal)
    if (answer === null) return null
    const cascade = readCascade(poll.api, answer)
    changed(cascade)
    if (cascade.isDone) return cascade
    await delay(LOOK_MS, null, { signal }).catch(() => null)
    if (signal.aborted) return null
  }
}

/** Drawn in place: how far it is, and some of those that are being waited for. */
const followOnTerminal = async (api: Api, id: string, signal: AbortSignal): Promise<CascadeAnswer | null> => {
  let latest: CascadeAnswer | null = null
  let asked: ReadonlyArray<string> = []
  let isLooking = false
  const nodes = new AskedNodes(api, id, ASKED)
  let note = ""
  const paint = paintFor(process.stdout)
  const draw = (): void => {
    if (latest === null) return
    // The report says the rest.
    if (latest.isDone) return screen.draw([])
    const waiting = asked.map((name) => paint("gray", cutToWidth(`  … ${name}`, screen.width)))
    const lines = [
      cutToWidth(titleOf(latest), screen.width),
      cutToWidth(`${barOf(latest)}  ${progressOf(latest)}`, screen.width)
    ]
    screen.draw([...lines, ...waiting, ...(note === "" ? [] : [cutToWidth(note, screen.width)])])
  }
  const screen = new LiveScreen(process.stdout, draw)
  const look = async ({ level }: CascadeAnswer): Promise<void> => {
    if (isLooking) return
    isLooking = true
    asked = await nodes.look(level, signal).catch(() => [])
    isLooking = false
  }
  try {
    const told = (text: string) => {
      note = text
      draw()
    }
    const poll = new LongPoll(api, told, true)
    return await follow(
      poll,
      id,
      (cascade) => {
        latest = cascade
        draw()
        if (!cascade.isDone) void look(cascade)
      },
      signal
    )
  } finally {
    screen.stop()
  }
}

/** One line whenever the level or the outcomes have changed. */
const followInLines = async (api: Api, id: string, signal: AbortSignal): Promise<CascadeAnswer | null> => {
  let last = ""
  return await follow(
    new LongPoll(api, notice, true),
    id,
    (cascade) => {
      const state = `${cascade.level} ${outcomesText(cascade)}`
      if (state === last || cascade.isDone) return
      last = state
      notice(progressOf(cascade))
    },
    signal
  )
}

/** The plan of an operation that nobody has begun, for people. */
export const planText = (plan: CascadeAnswer): string => {
  const { graceMs, outcomes, pending } = plan
  const asked = `${pending} to be asked, at most ${graceMs / 1000} s each; ${outcomes.already_terminal} ended before`
  if (hasNobody(plan)) return `${titleOf(plan)}: ${resultText(plan)}`
  return `${titleOf(plan)}\n  ${asked}`
}

/** The plan where it is what was asked for. */
export const showPlan = (plan: CascadeAnswer, options: CommonOptions): void =>
  options.json === true ? writeJsonText(inOneLine(plan.text)) : printText(planText(plan))

/** An operation to its end, and what came out. Whoever interrupts it leaves it going on. */
export const watchCascade = async (api: Api, id: string, options: CommonOptions): Promise<void> => {
  const look = `trails cascade ${id} shows how far it is.`
  const ending = new AbortController()
  const done = onInterrupt(() => ending.abort())
  const isLive = process.stdout.isTTY && options.json !== true
  try {
    const cascade = await (isLive ? followOnTerminal : followInLines)(api, id, ending.signal)
    done()
    if (cascade === null) return notice(`trails: it goes on. ${look}`)
    if (options.json === true) writeJsonText(inOneLine(cascade.text))
    else await report(api, cascade)
    process.exitCode ??= endedWell(cascade) ? EXIT.ok : EXIT.failed
  } catch (error) {
    throw withRemedy(error, look)
  }
}
