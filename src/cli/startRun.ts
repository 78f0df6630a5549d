import { NoFolder, PrivateFolder } from "../run/PrivateFolder.ts"
import { CliError, EXIT } from "./CliError.ts"
import type { RunWords } from "./RunOptions.ts"

/** For its stderr, its status lines, and to the watchdog. */
const PIPES = 3

const makeFolder = (): PrivateFolder => {
  try {
    return new PrivateFolder(PIPES)
  } catch (error) {
    if (error instanceof NoFolder)
      throw new CliError(
        `There is no place for the run's socket: ${error.message}.`,
        EXIT.cannotCreate,
        "Name a folder that may be written to by TMPDIR or XDG_RUNTIME_DIR."
      )
    throw error
  }
}

/** `trails run`; ends the process with the command's exit code. Its pipes are made while all the rest is loaded. */
export const startRun = async (words: RunWords): Promise<void> => {
  const folder = makeFolder()
  try {
    const { runNode } = await import("./RunCommand.ts")
    await runNode(words, folder)
  } finally {
    await folder.remove()
  }
}
