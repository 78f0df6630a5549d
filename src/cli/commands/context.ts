import type { Command } from "commander"
import { nearestName } from "../../protocol/NearestName.ts"
import { withExamples } from "../CommonOptions.ts"
import type { AddedContext } from "../ContextEdit.ts"
import { usageError } from "../CliError.ts"

const nearest = (text: string): string => {
  const near = nearestName(text, ["list", "add", "use", "remove"])
  return near === null ? "trails help context lists its commands." : `(Did you mean ${near}?)`
}

export const contextCommand = (program: Command): void => {
  const command = program
    .command("context")
    .summary("keep servers under names, and choose one")
    .description(
      "Keeps servers under names in ~/.trails/contexts.json. The one in use counts after --server and TRAILS_SERVER."
    )
  command
    .command("list", { isDefault: true })
    .description("list them; * is in use")
    .option("--json", "one JSON document instead of text for people")
    // As the default it is given whatever names no subcommand.
    .allowExcessArguments()
    .action(async (_options: unknown, self: Command) => {
      const [unknown] = self.args
      if (unknown !== undefined) throw usageError(`unknown command 'context ${unknown.slice(0, 64)}'`, nearest(unknown))
      const { listContexts } = await import("../ContextEdit.ts")
      listContexts(self.optsWithGlobals<{ readonly json?: boolean }>())
    })
  command
    .command("add")
    .description("add a server")
    .argument("<name>", "how you will call it")
    .option("--server <url>", "ws://host:8443/ws, http://host:8443 or host:8443")
    .option("--admin-key <file>", "the administrator's private key")
    .option("--server-key <key>", "the server's public key, ed25519:<base64>, to compare with")
    .action(async (name: string, _options: unknown, self: Command) => {
      const { addContext } = await import("../ContextEdit.ts")
      addContext(name, self.optsWithGlobals<AddedContext>())
    })
  command
    .command("use")
    .description("use one from now on")
    .argument("[name]", "its name")
    .option("--none", "use none")
    .action(async (name: string | undefined, options: { readonly none?: boolean }) => {
      if ((name === undefined) !== (options.none === true)) throw usageError("Give either a context's name or --none.")
      const { useContext } = await import("../ContextEdit.ts")
      useContext(name ?? null)
    })
  command
    .command("remove")
    .description("forget one")
    .argument("<name>", "its name")
    .action(async (name: string) => {
      const { removeContext } = await import("../ContextEdit.ts")
      removeContext(name)
    })
  withExamples(
    command,
    "trails context add prod --server wss://trails.example.org/ws --admin-key ~/prod.key.pem",
    "trails context use prod",
    "trails context"
  )
}
