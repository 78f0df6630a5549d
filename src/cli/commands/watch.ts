import type { Command } from "commander"
import { type CommonOptions, withCommon, withExamples } from "../CommonOptions.ts"
import type { WatchOptions } from "../WatchView.ts"

/** `watch` and `orphans`: what happens, and what was left behind. */
export const watchCommands = (program: Command): void => {
  const watch = program
    .command("watch")
    .summary("print what happens in a tree, or in all, as it happens")
    .description(
      "Prints what happens at and below a node as it happens, without ID anywhere. It goes on where it was when the server " +
        "comes back. With --json each event is a CloudEvent in one line."
    )
    .argument("[id]", "the node")
    .option("--kind <kinds>", "only these, separated by commas: crash,error")
    .option("--from <cursor>", "behind this event; 0: from the beginning")
    .action(async (id: string | undefined, _options: unknown, self: Command) => {
      const { watchEvents } = await import("../WatchView.ts")
      await watchEvents(id, self.optsWithGlobals<WatchOptions>())
    })
  withExamples(withCommon(watch), "trails watch", "trails watch 0b9c8f3e --kind crash,error --json | jq .data.app_name")
  const orphans = program
    .command("orphans")
    .summary("list what runs although an ancestor has ended")
    .description("Lists nodes that still run although an ancestor of theirs has ended.")
    .action(async (_options: unknown, self: Command) => {
      const { showOrphans } = await import("../OrphansView.ts")
      await showOrphans(self.optsWithGlobals<CommonOptions>())
    })
  withExamples(withCommon(orphans), "trails orphans", "trails orphans --json | jq -r '.items[].app_id'")
}
