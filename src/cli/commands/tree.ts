import type { Command } from "commander"
import { withCommon, withExamples } from "../CommonOptions.ts"
import type { TreeOptions } from "../TreeView.ts"

export const treeCommand = (program: Command): void => {
  const command = program
    .command("tree")
    .summary("show a node and everything below it")
    .description(
      "Shows a node and everything below it: state, progress, duration, where it runs. Without ID: the newest 20 trees."
    )
    .argument("[id]", "the node")
    .option(
      "-w, --watch",
      "draw it again upon each change, until all of it has ended (with --json: one document a line)"
    )
    .action(async (id: string | undefined, _options: unknown, self: Command) => {
      const { showTree } = await import("../TreeView.ts")
      await showTree(id, self.optsWithGlobals<TreeOptions>())
    })
  withExamples(
    withCommon(command),
    "trails tree",
    "trails tree 0b9c8f3e --watch",
    "trails tree 0b9c8f3e --json | jq '.items[].status'"
  )
}
