import type { Command } from "commander"
import { type CommonOptions, withCommon, withExamples } from "../CommonOptions.ts"

export const statusCommand = (program: Command): void => {
  const command = program
    .command("status")
    .summary("show one node")
    .description("Shows one node: its state, what it said last, its outcome, where it runs.")
    .argument("<id>", "the node")
    .action(async (id: string, _options: unknown, self: Command) => {
      const { showStatus } = await import("../StatusView.ts")
      await showStatus(id, self.optsWithGlobals<CommonOptions>())
    })
  withExamples(withCommon(command), "trails status 0b9c8f3e", "trails status 0b9c8f3e --json | jq -r .status")
}
