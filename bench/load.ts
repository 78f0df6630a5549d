/**
 * Drives any server of the TRAILS protocol with many nodes and says what became of their messages. See README.md for
 * what the figures mean. The last line on stdout is JSON.
 */
import { EXIT, LoadError } from "./load/LoadError.ts"
import { readFlags } from "./load/LoadFlags.ts"
import { LoadRun } from "./load/LoadRun.ts"
import { describe, exitCodeOf, problemsOf, summarize } from "./load/LoadSummary.ts"
import { dropSurroundings } from "../test/harness/surroundings.ts"

dropSurroundings()

/** Lines of problems that are shown. */
const SHOWN = 10

const main = async (): Promise<number> => {
  const command = readFlags(process.argv.slice(2))
  if (command._tag === "Print") {
    console.log(command.text)
    return 0
  }
  if (command._tag === "Wrong") {
    console.error(command.text)
    return EXIT.usage
  }
  const { flags } = command
  const run = new LoadRun(flags, (line) => console.error(line))
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => run.interrupt())
  try {
    const reports = await run.run()
    const summary = summarize(reports, run.isInterrupted)
    for (const line of problemsOf(reports).slice(0, SHOWN)) console.error(line)
    if (!flags.json) console.log(describe(summary, flags))
    console.log(JSON.stringify(summary))
    return exitCodeOf(summary)
  } catch (error) {
    if (!(error instanceof LoadError)) throw error
    console.error(error.message)
    return error.exitCode
  }
}

process.exitCode = await main()
