import { JsonText } from "../client/JsonText.ts"
import type { Exit } from "./CommandProcess.ts"

/** What is told of a command's end: of a good one in a Result, of a bad one in an Error, of a cancelled one in the answer. */
export interface EndFacts {
  readonly exit: Exit
  readonly durationMs: number
  /** See PeakMemory.ts. */
  readonly peakRssKib: number | null
  readonly stderrTail: string | null
  /** Milliseconds that it was given; null: it ended in time. */
  readonly timedOutAfterMs: number | null
  /** Its group did not end when it was asked to. */
  readonly forced: boolean
  readonly statusLinesIgnored: number
}

/** What the command has said itself, by `trails result` or `trails error`. */
export interface Said {
  readonly kind: "result" | "error"
  readonly payload: JsonText
}

export const endedWell = ({ exit, timedOutAfterMs }: EndFacts): boolean => exit.code === 0 && timedOutAfterMs === null

const messageOf = ({ exit, timedOutAfterMs }: EndFacts, said: Said | null): string => {
  const end = exit.signal === null ? `exit code ${exit.code}` : `killed by ${exit.signal}`
  if (timedOutAfterMs !== null) return `timed out after ${timedOutAfterMs / 1000} s (${end})`
  return said?.kind === "error" && exit.code === 0 ? "the command reported an error" : end
}

/**
 * `exit_code` or `signal`; `duration_ms`; `peak_rss_kb` where the system tells it; `stderr_tail` of a bad end; `message` of
 * an Error; `timed_out`, `forced`, `status_lines_ignored` where they apply; `result` or `error`: what the command said.
 */
export const endPayload = (facts: EndFacts, said: Said | null): { kind: "Result" | "Error"; payload: JsonText } => {
  const isGood = endedWell(facts) && said?.kind !== "error"
  const { exit, peakRssKib } = facts
  const members = {
    ...(isGood ? {} : { message: messageOf(facts, said) }),
    ...(exit.signal === null ? { exit_code: exit.code } : { signal: exit.signal }),
    duration_ms: Math.round(facts.durationMs),
    ...(peakRssKib === null ? {} : { peak_rss_kb: peakRssKib }),
    ...(facts.timedOutAfterMs === null ? {} : { timed_out: true }),
    ...(facts.forced ? { forced: true } : {}),
    ...(facts.statusLinesIgnored === 0 ? {} : { status_lines_ignored: facts.statusLinesIgnored }),
    ...(isGood || facts.stderrTail === null ? {} : { stderr_tail: facts.stderrTail })
  }
  const json = JSON.stringify(members)
  const text = said === null ? json : `${json.slice(0, -1)},"${said.kind}":${said.payload.text}}`
  return { kind: isGood ? "Result" : "Error", payload: JsonText.parse(text)! }
}
