import { buffer } from "node:stream/consumers"
import { askAgent, AgentUnreachable } from "../client/askAgent.ts"
import type { AgentAnswer } from "../client/AgentMessage.ts"
import { JsonText } from "../client/JsonText.ts"
import { CliError, EXIT, usageError } from "./CliError.ts"

/** How long a run that has too many callers at once is asked again, milliseconds. */
const PATIENCE_MS = 5000

const ask = async (path: string, kind: "status" | "result" | "error", payload: string): Promise<AgentAnswer> => {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await askAgent(path, { op: "report", kind, payload })
    } catch (error) {
      const isBusy = error instanceof AgentUnreachable && error.code === "EAGAIN"
      if (!isBusy || performance.now() > until) throw error
    }
  }
}

/** `trails report|result|error`. Resolves when the run has taken it; throws a CliError when it does not. */
export const sayToRun = async (kind: "status" | "result" | "error", command: string, json: string): Promise<void> => {
  const text = json === "-" ? (await buffer(process.stdin)).toString("utf8") : json
  const value = JsonText.parse(text)
  if (value === null)
    throw usageError(
      "That is not JSON.",
      `Mind the shell's quotes: trails ${command} '{"step": 1}'; a text is written '"like this"'.`
    )
  const path = process.env["TRAILS_AGENT"]
  if (path === undefined || path === "") return
  let answer: AgentAnswer
  try {
    answer = await ask(path, kind, value.text)
  } catch (error) {
    throw new CliError(
      `The run around this command is gone: ${(error as Error).message}.`,
      EXIT.unavailable,
      "A process that outlives its trails run can't report for it any more."
    )
  }
  if (!answer.ok) throw new CliError(`Not taken: ${answer.message}.`, EXIT.failed)
}
