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

const WORDS = ["message", "text", "error", "reason", "phase", "stage"] as const

const lastLine = (text: string): string | undefined =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .findLast((line) => line !== "")

const wordsOf = (fields: Fields): string | null => {
  const name = WORDS.find((known) => typeof fields[known] === "string" && fields[known] !== "")
  if (name !== undefined) return String(fields[name])
  return typeof fields["stderr_tail"] === "string" ? (lastLine(fields["stderr_tail"]) ?? null) : null
}

/** A payload in a few words for one line, safe for a terminal: what people write most, else its compact JSON. */
export const payloadText = (payload: unknown): string => {
  if (payload === null || payload === undefined) return ""
  if (typeof payload === "string") return printableLine(payload)
  if (!isObject(payload)) return printableLine(JSON.stringify(payload))
  const said = [progressOf(payload), exitOf(payload), memoryOf(payload), wordsOf(payload)].filter(
    (part) => part !== null
  )
  return printableLine(said.length > 0 ? said.join(" · ") : JSON.stringify(payload))
}
