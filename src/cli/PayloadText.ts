import { printableLine } from "./Printable.ts"

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const figure = (value: number): string => String(Math.round(value * 10) / 10)

/** How far something is: `percent`, `progress` (a share up to 1, or percent), `step` `of`. */
const progressOf = ({ of, percent, progress, step, total }: Fields): string | null => {
  const whole = typeof of === "number" ? of : total
  if (typeof step === "number" && typeof whole === "number") return `${step}/${whole}`
  if (typeof percent === "number") return `${figure(percent)}%`
  if (typeof progress === "number") return `${figure(progress <= 1 ? progress * 100 : progress)}%`
  return typeof step === "number" || typeof step === "string" ? `step ${step}` : null
}

/** How a command ended, as `trails run` reports it. */
const exitOf = ({ exit_code, signal }: Fields): string | null =>
  typeof signal === "string" ? signal : typeof exit_code === "number" ? `exit ${exit_code}` : null

const memoryOf = ({ peak_rss_kb }: Fields): string | null =>
  typeof peak_rss_kb === "number" ? `${figure(peak_rss_kb / 1024)} MiB` : null

const WORDS = ["message", "text", "error", "reason", "phase", "stage", "state"] as const

/** Messages of `trails run` that say no more than `exitOf`. */
const WRAPPER = /^(?:exit code \d+|killed by SIG\w+)$/

const lastLine = (text: string): string | undefined =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .findLast((line) => line !== "")

const wordsOf = (fields: Fields): string | null => {
  const name = WORDS.find((known) => typeof fields[known] === "string" && fields[known] !== "")
  return name === undefined ? null : String(fields[name])
}

/** Of a command that has ended: what it reported itself, else why it failed, else what it wrote last. */
const lastWordsOf = (fields: Fields): string | null => {
  const { error, message, result, stderr_tail } = fields
  const own = result ?? error
  if (own !== undefined && own !== null) return payloadText(own)
  if (typeof message === "string" && !WRAPPER.test(message)) return message
  return typeof stderr_tail === "string" ? (lastLine(stderr_tail) ?? null) : null
}

/** A payload in a few words for one line, safe for a terminal: what people write most, else its compact JSON. */
export const payloadText = (payload: unknown): string => {
  if (payload === null || payload === undefined) return ""
  if (typeof payload === "string") return printableLine(payload)
  if (!isObject(payload)) return printableLine(JSON.stringify(payload))
  const exit = exitOf(payload)
  const said = exit === null ? [progressOf(payload), wordsOf(payload)] : [exit, memoryOf(payload), lastWordsOf(payload)]
  const parts = said.filter((part) => part !== null)
  return printableLine(parts.length > 0 ? parts.join(" · ") : JSON.stringify(payload))
}
