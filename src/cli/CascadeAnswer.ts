import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { shortId } from "./NodeId.ts"
import { printableLine } from "./Printable.ts"
import { durationText } from "./TimeText.ts"

const OUTCOMES = ["acked", "refused", "forced", "unreachable", "already_terminal"] as const

type Outcome = (typeof OUTCOMES)[number]

/** Outcomes with which nobody can be content. */
export const BAD_OUTCOMES: ReadonlyArray<Outcome> = ["forced", "unreachable", "refused"]

/** An operation, or the plan of one, as the server answers it (docs/rest.md). */
export interface CascadeAnswer {
  /** Null: of a plan. */
  readonly id: string | null
  readonly appId: string
  readonly appName: string
  readonly action: string
  readonly isWhole: boolean
  /** Of nodes with certain tags alone. */
  readonly isFiltered: boolean
  readonly graceMs: number
  readonly isDone: boolean
  readonly levels: number
  readonly level: number | null
  readonly total: number
  readonly pending: number
  readonly asked: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  readonly createdAt: number
  readonly finishedAt: number | null
  /** The server's clock when it answered. */
  readonly now: number
  readonly text: string
}

/** One operation, of an answer or of a page; `text`: its own. `now`: the server's clock when it answered. */
export const readCascadeItem = (read: Answered, text: string, now: number): CascadeAnswer => {
  const counts = read.object("counts")
  const finishedAt = read.optionalText("finished_at")
  return {
    id: read.fields["id"] === null ? null : read.id("id"),
    appId: read.id("app_id"),
    appName: read.text("app_name"),
    action: read.text("action"),
    isWhole: read.fields["cascade"] === true,
    isFiltered: read.optionalObject("filter") !== null,
    graceMs: read.count("grace_ms"),
    isDone: read.text("state") === "done",
    levels: read.count("levels"),
    level: read.optionalCount("level"),
    total: read.count("total"),
    pending: counts.count("pending"),
    asked: counts.count("asked"),
    outcomes: Object.fromEntries(OUTCOMES.map((name) => [name, counts.count(name)])) as CascadeAnswer["outcomes"],
    createdAt: Date.parse(read.text("created_at")),
    finishedAt: finishedAt === null ? null : Date.parse(finishedAt),
    now,
    text
  }
}

export const readCascade = (api: Api, answer: ApiAnswer): CascadeAnswer =>
  readCascadeItem(Answered.of(api, answer), answer.text, answer.now)

const WORDS: Readonly<Record<Outcome, string>> = {
  acked: "acked",
  refused: "refused",
  forced: "forced",
  unreachable: "unreachable",
  already_terminal: "ended before"
}

/** `4 acked, 1 forced`; empty when there is none. */
export const outcomesText = ({ outcomes }: CascadeAnswer): string =>
  OUTCOMES.filter((name) => outcomes[name] > 0)
    .map((name) => `${outcomes[name]} ${WORDS[name]}`)
    .join(", ")

/** No node has the tags that were given. */
export const hasNobody = ({ isFiltered, total }: CascadeAnswer): boolean => isFiltered && total === 0

/** What came out of one that is through. */
export const resultText = (cascade: CascadeAnswer): string =>
  hasNobody(cascade) ? "no node has these tags" : outcomesText(cascade) || "nobody to be asked"

const throughOf = ({ asked, pending, total }: CascadeAnswer): number => total - asked - pending

export const tookText = ({ createdAt, finishedAt, now }: CascadeAnswer): string =>
  durationText((finishedAt ?? now) - createdAt)

/** `cancel 0a1b2c3d batch and all below it: 3 nodes, 2 levels`. */
export const titleOf = (cascade: CascadeAnswer): string => {
  const { action, appId, appName, isWhole, levels, total } = cascade
  const what = isWhole ? `and all below it: ${total} nodes, ${levels} levels` : "alone"
  return `${printableLine(action)} ${shortId(appId)} ${printableLine(appName)} ${what}`
}

const BAR = 24

export const barOf = (cascade: CascadeAnswer): string => {
  const share = cascade.total === 0 ? 1 : throughOf(cascade) / cascade.total
  // Counts that do not add up are no reason to end.
  const full = Math.round(Math.min(Math.max(share, 0), 1) * BAR)
  return "█".repeat(full) + "░".repeat(BAR - full)
}

/** How far it is. */
export const progressOf = (cascade: CascadeAnswer): string => {
  const { level, levels, total } = cascade
  const at = level === null ? "" : `level ${levels - level} of ${levels}  `
  const outcomes = outcomesText(cascade)
  return `${at}${throughOf(cascade)} of ${total} through${outcomes === "" ? "" : `: ${outcomes}`}  ${tookText(cascade)}`
}

/** Nobody was forced, out of reach, or refused. */
export const endedWell = ({ outcomes }: CascadeAnswer): boolean => BAD_OUTCOMES.every((name) => outcomes[name] === 0)
