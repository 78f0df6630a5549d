import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"
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

export const readCascade = (api: Api, answer: ApiAnswer): CascadeAnswer => {
  const read = Answered.of(api, answer)
  const counts = read.object("counts")
  const finishedAt = read.optionalText("finished_at")
  return {
    id: read.fields["id"] === null ? null : read.id("id"),
    appId: read.id("app_id"),
    appName: read.text("app_name"),
    action: read.text("action"),
    isWhole: read.fields["cascade"] === true,
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
    now: answer.now,
    text: answer.text
  }
}

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

export const throughOf = ({ asked, pending, total }: CascadeAnswer): number => total - asked - pending

export const tookText = ({ createdAt, finishedAt, now }: CascadeAnswer): string =>
  durationText((finishedAt ?? now) - createdAt)

/** Nobody was forced, out of reach, or refused. */
export const endedWell = ({ outcomes }: CascadeAnswer): boolean => BAD_OUTCOMES.every((name) => outcomes[name] === 0)
