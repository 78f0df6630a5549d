import { type Command, Option } from "commander"
import { withCommon, withExamples } from "../CommonOptions.ts"
import type { WaitOptions } from "../WaitView.ts"

const CODES = `
Exit codes, of several nodes the highest:
  0  done
  1  error
  2  crashed or lost_contact (from which a node may come back: wait again)
  3  not ended within --timeout
  4  cancelled
  5  start_failed
  64 wrong usage or unknown id, 69 server away, 77 not allowed, 130 Ctrl-C`

export const waitCommand = (program: Command): void => {
  const command = program
    .command("wait")
    .summary("wait until nodes have ended, and print their results")
    .description(
      "Waits until nodes have ended. Of one node its result is printed exactly as it sent it, or null; of several one " +
        'line each, as they end: {"app_id":…,"status":…,"result":…}. Everything else goes to stderr.'
    )
    .argument("<id...>", "the nodes")
    .addOption(new Option("--any", "until the first of them has ended; its exit code counts").conflicts("all"))
    .addOption(new Option("--all", "until all of them have ended (the default)"))
    .option("--timeout <time>", "wait no longer: seconds, or with a unit (1500ms, 30s, 5m, 2h)")
    .option("--progress", "print what they report to stderr while waiting")
    .action(async (ids: ReadonlyArray<string>, _options: unknown, self: Command) => {
      const { showWait } = await import("../WaitView.ts")
      await showWait(ids, self.optsWithGlobals<WaitOptions>())
    })
    .addHelpText("after", CODES)
  withExamples(
    withCommon(command),
    "trails wait 0b9c8f3e --timeout 10m | jq .rows",
    "trails wait 0b9c8f3e 4a3b9c55 --any --progress"
  )
}
