import type { Command } from "commander"
import { type CommonOptions, withCommon, withExamples } from "../CommonOptions.ts"

export const whoamiCommand = (program: Command): void => {
  const command = program
    .command("whoami")
    .summary("say which server is meant, and who you are there")
    .description(
      "Says which server is meant and why, which key signs for you, and which node TRAILS_INFO makes of this process."
    )
    .action(async (_options: unknown, self: Command) => {
      const { showWhoami } = await import("../Whoami.ts")
      await showWhoami(self.optsWithGlobals<CommonOptions>())
    })
  withExamples(withCommon(command), "trails whoami", "trails whoami --json | jq -r .server.url")
}
