import { readFileSync } from "node:fs"
import { Command, CommanderError } from "commander"
import { EXIT } from "./CliError.ts"
import { reportCommands } from "./commands/report.ts"
import { runCommand } from "./commands/run.ts"
import { cancelCommands } from "./commands/cancel.ts"
import { childrenCommand } from "./commands/children.ts"
import { contextCommand } from "./commands/context.ts"
import { doctorCommand } from "./commands/doctor.ts"
import { logCommand } from "./commands/log.ts"
import { sendCommands } from "./commands/send.ts"
import { statusCommand } from "./commands/status.ts"
import { subjectCommand } from "./commands/subject.ts"
import { treeCommand } from "./commands/tree.ts"
import { waitCommand } from "./commands/wait.ts"
import { watchCommands } from "./commands/watch.ts"
import { whoamiCommand } from "./commands/whoami.ts"
import { explain } from "./explain.ts"
import { printable } from "./Printable.ts"

const versionText = (): string => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    readonly version: string
  }
  return version
}

const EPILOGUE = `
Nodes are named by their id, or by its first digits (4 or more) while no other id has them.
The server: --server, TRAILS_SERVER, the context in use, TRAILS_INFO, else ws://127.0.0.1:8443/ws.
Exit codes: 0 fine, 64 wrong usage or unknown id, 69 server away, 77 not allowed, 70 failure of trails itself;
run, wait, send, cancel, cascade and doctor have more: trails help COMMAND.`

/** The commands of `trails`. Each loads what is heavy in its action alone, so that --help stays quick. */
export const makeProgram = (): Command => {
  const program = new Command("trails")
    .description("Runs commands as nodes of a tree that trailsd keeps, and looks at it.")
    .version(versionText(), "-v, --version")
    .option("--server <url>", "the server, for any command")
    // Options after a command's name are the command's: `trails run` hands the rest to what it starts.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(printable(text.trimEnd()).replace(/^error: /, "trails: ") + "\n")
    })
    .addHelpText("after", EPILOGUE)
  runCommand(program)
  reportCommands(program)
  treeCommand(program)
  statusCommand(program)
  waitCommand(program)
  childrenCommand(program)
  logCommand(program)
  watchCommands(program)
  sendCommands(program)
  cancelCommands(program)
  subjectCommand(program)
  whoamiCommand(program)
  doctorCommand(program)
  contextCommand(program)
  return program
}

/** Exit code of what a command threw. */
const explainAll = (error: unknown): number => {
  if (!(error instanceof CommanderError)) return explain(error)
  if (error.exitCode === 0) return EXIT.ok
  process.stderr.write("trails --help lists the commands, trails help COMMAND their options.\n")
  return EXIT.usage
}

/** Runs the command line and sets the exit code. `args`: without the program's own name. */
export const main = async (args: ReadonlyArray<string>): Promise<void> => {
  // The reader of a pipe may leave early (`trails log ID | head`): that ends it as it ends others. Neither that nor anything
  // else must pass for what `wait` has found.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(EXIT.pipe)
    process.stderr.write(`trails: stdout can't be written (${error.code ?? error.message}).\n`)
    process.exit(EXIT.output)
  })
  // Whoever does not read what is said beside the result wants the result all the same.
  process.stderr.on("error", () => {})
  try {
    const program = makeProgram()
    if (args.length === 0) program.outputHelp()
    else await program.parseAsync(args, { from: "user" })
  } catch (error) {
    process.exitCode = explainAll(error)
  }
}
