import type { Command } from "commander"
import { type CommonOptions, withCommon, withExamples } from "../CommonOptions.ts"

export const childrenCommand = (program: Command): void => {
  const command = program
    .command("children")
    .summary("list the children of a node")
    .description("Lists the children of a node, the oldest first, one a line.")
    .argument("<id>", "the parent")
    .action(async (id: string, _options: unknown, self: Command) => {
      const { showChildren } = await import("../ChildrenView.ts")
      await showChildren(id, self.optsWithGlobals<CommonOptions>())
    })
  withExamples(withCommon(command), "trails children 0b9c8f3e", "trails children 0b9c8f3e --json")
}
