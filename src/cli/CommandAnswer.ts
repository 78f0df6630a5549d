import { Answered } from "./Answered.ts"
import type { Api, ApiAnswer } from "./Api.ts"
import { memberText } from "./JsonSlice.ts"

/** A command as the server answers it (docs/rest.md), with exact texts. */
export interface CommandAnswer {
  readonly correlationId: string
  readonly appId: string
  readonly action: string
  readonly state: string
  readonly issuedBy: string
  readonly issuedAt: string
  readonly ack: boolean
  readonly error: string | null
  readonly resultText: string
  readonly payloadText: string
  readonly text: string
}

export const isThrough = ({ state }: CommandAnswer): boolean => state === "answered" || state === "expired"

/** One command, of an answer or of a page; `text`: its own. */
export const readCommandItem = (answered: Answered, text: string): CommandAnswer => ({
  correlationId: answered.id("correlation_id"),
  appId: answered.id("app_id"),
  action: answered.text("action"),
  state: answered.text("state"),
  issuedBy: answered.text("issued_by"),
  issuedAt: answered.text("issued_at"),
  ack: answered.fields["ack"] === true,
  error: answered.optionalText("error"),
  resultText: memberText(text, "result") ?? "null",
  payloadText: memberText(text, "payload") ?? "null",
  text
})

export const readCommand = (api: Api, answer: ApiAnswer): CommandAnswer =>
  readCommandItem(Answered.of(api, answer), answer.text)
