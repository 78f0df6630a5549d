import type { Command } from "commander"
import { withExamples } from "../CommonOptions.ts"

interface Word {
  readonly kind: "status" | "result" | "error"
  readonly name: "report" | "result" | "error"
  readonly summary: string
  readonly description: string
  readonly examples: ReadonlyArray<string>
}

const WORDS: ReadonlyArray<Word> = [
  {
    kind: "status",
    name: "report",
    summary: "report progress of the run around this command",
    description: "Reports progress, any JSON value, of the `trails run` around this command.",
    examples: [`trails report '{"step": 3, "of": 10}'`, "./progress | trails report -"]
  },
  {
    kind: "result",
    name: "result",
    summary: "say what the run around this command has produced",
    description: "Says what the `trails run` around this command has produced; it is told with the command's end.",
    examples: [`trails result '{"rows": 1234}'`]
  },
  {
    kind: "error",
    name: "error",
    summary: "say that the run around this command fails, and why",
    description:
      "Says why the `trails run` around this command fails: its node ends as error, whatever the command's exit code.",
    examples: [`trails error '{"reason": "no such table", "table": "orders"}'`]
  }
]

/** `report`, `result` and `error`: what a command says of itself. */
export const reportCommands = (program: Command): void => {
  for (const { description, examples, kind, name, summary } of WORDS) {
    const command = program
      .command(name)
      .summary(summary)
      .description(`${description} Outside of a run it does nothing, so that a script works in both.`)
      .argument("<json>", "any JSON value, kept exactly as it is; - reads it from stdin")
      .action(async (json: string) => {
        const { sayToRun } = await import("../SayToRun.ts")
        await sayToRun(kind, name, json)
      })
    withExamples(command, ...examples)
  }
}
