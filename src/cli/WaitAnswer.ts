import type { ApiAnswer } from "./Api.ts"
import { memberText } from "./JsonSlice.ts"
import type { Outcome } from "./TreeRow.ts"

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

export const readWaitAnswer = ({ json, text }: ApiAnswer): WaitAnswer => {
  const answer = json as {
    readonly app_id: string
    readonly app_name: string
    readonly status: string
    readonly ended: boolean
    readonly ended_at: string | null
    readonly outcome: Outcome | null
  }
  const outcomeText = memberText(text, "outcome") ?? "null"
  return {
    appId: answer.app_id,
    appName: answer.app_name,
    status: answer.status,
    ended: answer.ended,
    endedAt: answer.ended_at,
    outcome: answer.outcome,
    payloadText: answer.outcome === null ? "null" : (memberText(outcomeText, "payload") ?? "null"),
    snapshotText: memberText(text, "snapshot") ?? "null",
    outcomeText,
    text
  }
}
