import type { Command } from "commander"
import { withCommon, withExamples } from "../CommonOptions.ts"
import type { LogOptions } from "../LogView.ts"

export const logCommand = (program: Command): void => {
  const command = program
    .command("log")
    .summary("show what happened to a node")
    .description("Shows everything that happened to a node, the oldest first. With --json one document a line.")
    .argument("<id>", "the node")
    .option("-f, --follow", "go on with what comes, until the node has ended")
    .action(async (id: string, _options: unknown, self: Command) => {
      const { showLog } = await import("../LogView.ts")
      await showLog(id, self.optsWithGlobals<LogOptions>())
    })
  withExamples(
    withCommon(command),
    "trails log 0b9c8f3e",
    "trails log 0b9c8f3e --follow",
    "trails log 0b9c8f3e --json | jq -c 'select(.kind == \"status\") | .payload'"
  )
}
