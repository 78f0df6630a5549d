import type { Command } from "commander"
import { type CommonOptions, withCommon, withExamples } from "../CommonOptions.ts"

interface SubjectOptions extends CommonOptions {
  readonly label?: boolean
  readonly subtree?: boolean
}

export const subjectCommand = (program: Command): void => {
  const command = program
    .command("subject")
    .summary("print the NATS subject of a node's events")
    .description("Prints the NATS subject on which a node's events are published, all kinds of them (*).")
    .argument("<id>", "the node")
    .option("--subtree", "of the node and everything below it")
    .option("--label", "only the node's own place in the subject")
    .action(async (id: string, _options: unknown, self: Command) => {
      const { showSubject } = await import("../SubjectView.ts")
      await showSubject(id, self.optsWithGlobals<SubjectOptions>())
    })
  withExamples(withCommon(command), "trails subject 0b9c8f3e", 'nats sub "$(trails subject 0b9c8f3e --subtree)"')
}
