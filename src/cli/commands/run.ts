import { type Command, InvalidArgumentError } from "commander"
import { type ServerOption, withExamples, withServer } from "../CommonOptions.ts"
import { durationMs } from "../../protocol/Duration.ts"

export interface RunOptions extends ServerOption {
  readonly name?: string
  readonly tag: Readonly<Record<string, string>>
  readonly timeout?: number
  readonly grace?: number
  readonly foreground?: boolean
  readonly stderr: boolean
}

/** Longest that a timer can be set to, 24 days. */
const LONGEST_MS = 2 ** 31 - 1

const duration = (text: string): number => {
  const milliseconds = durationMs(text)
  if (milliseconds === null || milliseconds > LONGEST_MS)
    throw new InvalidArgumentError("Seconds, or a number with a unit: 90, 1500ms, 5m, 2h; at most 24 days.")
  return milliseconds
}

const addTag = (text: string, tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const at = text.indexOf("=")
  if (at < 1) throw new InvalidArgumentError("A tag is written key=value.")
  return { ...tags, [text.slice(0, at)]: text.slice(at + 1) }
}

export const runCommand = (program: Command): void => {
  const command = program
    .command("run")
    .summary("run a command as a node of the tree")
    .description(
      "Runs a command as a node of the tree: when it starts, what it says, how it ends and why. Exits with the command's own exit code."
    )
    .argument("<command...>", "the command and its arguments, after --")
    .option("--name <name>", "of the node (default: the command's)")
    .option("--tag <key=value>", "for filters and people; may be given again", addTag, {})
    .option("--timeout <time>", "ends it after so many seconds, or with a unit: 90, 5m", duration)
    .option("--grace <time>", "from being asked to end until it is killed (default: 10)", duration)
    .option("--foreground", "it keeps the terminal: no session of its own, its stderr is left alone")
    .option("--no-stderr", "its stderr is left alone: no tail of it in the report")
    .passThroughOptions()
    .action(async (words: ReadonlyArray<string>, _options: unknown, self: Command) => {
      const { runNode } = await import("../RunCommand.ts")
      await runNode(words, self.optsWithGlobals<RunOptions>())
    })
  withExamples(
    withServer(command),
    "trails run -- make -j4",
    "trails run --name etl --tag team=data --timeout 2h -- python3 load.py",
    `trails run --name etl -- sh -c 'trails run --name extract -- ./extract & trails run --name load -- ./load; wait'`
  )
}
