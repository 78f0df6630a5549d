import type { Command } from "commander"
import { withCommon, withExamples } from "../CommonOptions.ts"
import type { CancelOptions, CascadeOptions } from "../CancelView.ts"

const ENDS = "Exit codes: 0 all have stopped when they were asked, 1 some were forced, out of reach, or refused,"
const OTHERS = "64 wrong usage or unknown id, 69 server away, 77 not allowed. Ctrl-C leaves the operation going on."

const again = (value: string, before: ReadonlyArray<string> | undefined): ReadonlyArray<string> => [
  ...(before ?? []),
  value
]

/** `cancel` and `cascade`: operations on nodes and whole trees. */
export const cancelCommands = (program: Command): void => {
  const cancel = program
    .command("cancel")
    .summary("stop a node, or with --cascade all below it too")
    .description(
      "Stops a node; with --cascade everything below it first, level by level from the bottom, siblings together: a parent " +
        "is asked only when all its children are through. Who does not stop within its grace is forced. Over 50 nodes it " +
        "shows the plan and asks, on a terminal."
    )
    .argument("<id>", "the node")
    .option("--cascade", "all below it too, and nothing new may start there")
    .option("--dry-run", "show the plan and do nothing")
    .option("--filter <key=value>", "only nodes with this tag; may be given again", again)
    .option("--reason <text>", "told to the nodes, and kept")
    .option("--grace <time>", "what each node gets at most: seconds, or with a unit (default: 10)")
    .option("--deadline <time>", "for all levels together: the graces are shortened to fit")
    .option("--detach", "do not wait; print the operation's id")
    .option("-y, --yes", "do not ask")
    .option("--action <name>", "tell them this instead of stopping them")
    .option("--payload <json>", "with --action: any JSON value; - reads it from stdin")
    .action(async (id: string, _options: unknown, self: Command) => {
      const { cancelNode } = await import("../CancelView.ts")
      await cancelNode(id, self.optsWithGlobals<CancelOptions>())
    })
    .addHelpText("after", `\n${ENDS}\n2 "Go on?" was not answered with yes: nothing was done,\n${OTHERS}`)
  withExamples(
    withCommon(cancel),
    "trails cancel --cascade 0b9c8f3e --reason 'wrong input'",
    "trails cancel --cascade 0b9c8f3e --filter device_type=gas_detector --dry-run",
    `trails cancel --cascade 0b9c8f3e --action calibrate --payload '{"to": 1.5}'`
  )
  const cascade = program
    .command("cascade")
    .summary("show an operation until it is through, or list them")
    .description(
      "Shows how far an operation that `trails cancel` has begun is, until it is through. Without ID it lists the newest."
    )
    .argument("[id]", "the operation's id, or its first digits, among the newest 100")
    .option("--retry", "ask those again who could not be told, or have refused")
    .action(async (id: string | undefined, _options: unknown, self: Command) => {
      const { showCascade } = await import("../CancelView.ts")
      await showCascade(id, self.optsWithGlobals<CascadeOptions>())
    })
    .addHelpText("after", `\n${ENDS}\n${OTHERS}`)
  withExamples(withCommon(cascade), "trails cascade", "trails cascade 154c24e2-a47a-4e55-9674-ca9d2252576d --retry")
}
