import { type Command, InvalidArgumentError } from "commander"
import { withExamples, withServer } from "../CommonOptions.ts"
import { BadValue, RUN_OPTIONS, type RunOptions } from "../RunOptions.ts"

/** What is wrong is told by commander in its own words. */
const explained =
  (parse: (text: string, before: unknown) => unknown) =>
  (text: string, before: unknown): unknown => {
    try {
      return parse(text, before)
    } catch (error) {
      throw error instanceof BadValue ? new InvalidArgumentError(error.message) : error
    }
  }

export const runCommand = (program: Command): void => {
  const command = program
    .command("run")
    .summary("run a command as a node of the tree")
    .description(
      "Runs a command as a node of the tree: when it starts, what it says, how it ends and why. Exits with the command's own exit code."
    )
    .argument("<command...>", "the command and its arguments, after --")
  for (const { description, flags, parse } of RUN_OPTIONS) {
    if (parse === undefined) command.option(flags, description)
    else command.option(flags, description, explained(parse))
  }
  command.passThroughOptions().action(async (words: ReadonlyArray<string>, _options: unknown, self: Command) => {
    const { startRun } = await import("../startRun.ts")
    await startRun({ command: words, options: self.optsWithGlobals<RunOptions>() })
  })
  withExamples(
    withServer(command),
    "trails run -- make -j4",
    "trails run --name etl --tag team=data --timeout 2h -- python3 load.py",
    `trails run --name etl -- sh -c 'trails run --name extract -- ./extract & trails run --name load -- ./load; wait'`
  )
}
