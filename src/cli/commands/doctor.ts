import type { Command } from "commander"
import { type CommonOptions, withCommon, withExamples } from "../CommonOptions.ts"

export const doctorCommand = (program: Command): void => {
  const command = program
    .command("doctor")
    .summary("check server, level, keys and clock")
    .description(
      "Checks server, level, keys, clock and surroundings, and says what to do. Exit code 1 when something is wrong."
    )
    .action(async (_options: unknown, self: Command) => {
      const { showDoctor } = await import("../Doctor.ts")
      await showDoctor(self.optsWithGlobals<CommonOptions>())
    })
  withExamples(withCommon(command), "trails doctor", "trails doctor --server wss://trails.example.org/ws")
}
