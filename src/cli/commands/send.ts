import type { Command } from "commander"
import { withCommon, withExamples } from "../CommonOptions.ts"
import type { CommandsOptions } from "../CommandsView.ts"
import type { SendOptions } from "../SendView.ts"

const CODES = `
Exit codes with --wait:
  0  the node has done it
  1  the node has refused it; what it says is on stderr
  3  not answered within --timeout; it may be yet
  5  expired: nobody answered within --ttl, or the node has ended
  64 wrong usage or unknown id, 69 server away, 77 not allowed, 130 Ctrl-C`

/** `send` and `commands`: telling a node something, and what became of it. */
export const sendCommands = (program: Command): void => {
  const send = program
    .command("send")
    .summary("tell a node to do something, and print its answer")
    .description(
      "Tells a node to do something: an action that it takes (trails status shows them), with any JSON as its payload. It " +
        "is told as soon as it is there, once, and within --ttl. Without --wait the command's id is printed."
    )
    .argument("<id>", "the node")
    .argument("<action>", "what it shall do")
    .option("--payload <json>", "any JSON value, told exactly as it is; - reads it from stdin")
    .option("--ttl <time>", "how long it is good: seconds, or with a unit (default: 5m)")
    .option("--wait", "wait for the node's answer and print it exactly as it is")
    .option("--timeout <time>", "with --wait: wait no longer")
    .option("--idempotency-key <key>", "the same key again at the same node is the same command")
    .action(async (id: string, action: string, _options: unknown, self: Command) => {
      const { sendCommand } = await import("../SendView.ts")
      await sendCommand(id, action, self.optsWithGlobals<SendOptions>())
    })
    .addHelpText("after", CODES)
  withExamples(
    withCommon(send),
    `trails send 0b9c8f3e set_rate --payload '{"hz": 10}' --wait`,
    "trails send 0b9c8f3e reload --ttl 1h"
  )
  const commands = program
    .command("commands")
    .summary("list what a node was told, and what it answered")
    .description("Lists the newest commands of a node, the newest last, with their answers.")
    .argument("<id>", "the node")
    .option("--open", "only those without an answer")
    .action(async (id: string, _options: unknown, self: Command) => {
      const { showCommands } = await import("../CommandsView.ts")
      await showCommands(id, self.optsWithGlobals<CommandsOptions>())
    })
  withExamples(withCommon(commands), "trails commands 0b9c8f3e", "trails commands 0b9c8f3e --open --json")
}
