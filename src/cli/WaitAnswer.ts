import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { memberText } from "./JsonSlice.ts"
import { type Outcome, readOutcome } from "./TreeRow.ts"

/** What `GET apps/{id}/wait` answers (docs/rest.md), with the exact text of its payloads. */
export interface WaitAnswer {
  readonly appId: string
  readonly appName: string
  readonly status: string
  readonly ended: boolean
  readonly endedAt: string | null
  readonly outcome: Outcome | null
  /** `null` where there is none. */
  readonly payloadText: string
  readonly snapshotText: string
  readonly outcomeText: string
  /** The whole answer. */
  readonly text: string
}

export const readWaitAnswer = (api: Api, answer: ApiAnswer): WaitAnswer => {
  const { text } = answer
  const read = Answered.of(api, answer)
  const outcome = read.optionalObject("outcome")
  const outcomeText = memberText(text, "outcome") ?? "null"
  return {
    appId: read.id("app_id"),
    appName: read.text("app_name"),
    status: read.text("status"),
    ended: read.flag("ended"),
    endedAt: read.optionalText("ended_at"),
    outcome: outcome === null ? null : readOutcome(outcome),
    payloadText: outcome === null ? "null" : (memberText(outcomeText, "payload") ?? "null"),
    snapshotText: memberText(text, "snapshot") ?? "null",
    outcomeText,
    text
  }
}
