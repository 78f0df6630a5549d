import { basename, join } from "node:path"
import { NoFolder } from "../run/PrivateFolder.ts"
import { RunIdentity, surroundingsOf } from "../run/RunIdentity.ts"
import { runWrapped } from "../run/Wrapper.ts"
import { APP_NAME } from "../protocol/Limits.ts"
import { fits } from "../protocol/FieldReader.ts"
import { CliError, EXIT, usageError } from "./CliError.ts"
import type { RunOptions } from "./commands/run.ts"
import { rootFounder } from "./RootFounder.ts"
import { findServer } from "./ServerPlace.ts"

const GRACE_MS = 10_000
const BIN = join(import.meta.dirname, "../../bin")

/** What the launcher has seen before Node closed it to children: descriptors from 3 to 9. */
const inheritedDescriptors = (): ReadonlyArray<number> =>
  (process.env["TRAILS_INHERITED_FDS"] ?? "")
    .split(" ")
    .map(Number)
    .filter((number) => Number.isInteger(number) && number >= 3 && number <= 9)

const warn = (text: string): void => void process.stderr.write(`trails: ${text}\n`)

/** `trails run`; ends the process with the command's exit code. */
export const runNode = async (command: ReadonlyArray<string>, options: RunOptions): Promise<void> => {
  const name = options.name ?? basename(command[0]!)
  if (name === "" || !fits(name, APP_NAME)) throw usageError(`--name must have 1 to ${APP_NAME} bytes.`)
  const place = findServer(options.server)
  const tags = Object.keys(options.tag).length === 0 ? null : options.tag
  const identity = new RunIdentity(surroundingsOf(process.env), { name, tags }, place, rootFounder(place))
  if (identity.problem !== null) warn(`${identity.problem}. Nothing is reported to TRAILS`)
  // Its end would be the command's: the watchdog sees to that.
  process.on("uncaughtException", (error) => warn(`a defect of trails itself: ${error.stack ?? error.message}`))
  try {
    const code = await runWrapped({
      command,
      identity,
      environment: process.env,
      timeoutMs: options.timeout ?? null,
      graceMs: options.grace ?? GRACE_MS,
      foreground: options.foreground === true,
      takesStderr: options.stderr && options.foreground !== true,
      inherited: inheritedDescriptors(),
      binFolder: BIN,
      warn
    })
    // Connections and timers of the client are of no use any more.
    process.exit(code)
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
