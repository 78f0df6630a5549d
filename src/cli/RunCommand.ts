import { basename } from "node:path"
import { fileURLToPath } from "node:url"
import type { PrivateFolder } from "../run/PrivateFolder.ts"
import { RunIdentity, surroundingsOf } from "../run/RunIdentity.ts"
import { runWrapped } from "../run/Wrapper.ts"
import { fits } from "../protocol/FieldReader.ts"
import { APP_NAME } from "../protocol/Limits.ts"
import { usageError } from "./CliError.ts"
import type { RunWords } from "./RunOptions.ts"
import { rootFounder } from "./RootFounder.ts"
import { findServer } from "./ServerPlace.ts"

const GRACE_MS = 10_000
const BIN = fileURLToPath(new URL("../../bin", import.meta.url))

/** What the launcher has seen before Node closed it to children: descriptors from 3 to 9. */
const inheritedDescriptors = (): ReadonlyArray<number> =>
  (process.env["TRAILS_INHERITED_FDS"] ?? "")
    .split(" ")
    .map(Number)
    .filter((number) => Number.isInteger(number) && number >= 3 && number <= 9)

const warn = (text: string): void => void process.stderr.write(`trails: ${text}\n`)

/** Resolves when all warnings are through, or can't get through: to a pipe that is full they are still on their way. */
const warned = (): Promise<void> => new Promise((resolve) => process.stderr.write("", () => resolve()))

/** Ends the process with the command's exit code. `folder`: with three pipes. */
export const runNode = async ({ command, options }: RunWords, folder: PrivateFolder): Promise<never> => {
  // Whoever read stderr may have left, or the disk is full. Unheard, the error would be a defect, written to stderr.
  process.stderr.on("error", () => {})
  const name = options.name ?? basename(command[0]!)
  if (name === "" || !fits(name, APP_NAME)) throw usageError(`--name must have 1 to ${APP_NAME} bytes.`)
  const place = findServer(options.server)
  const identity = new RunIdentity(
    surroundingsOf(process.env),
    { name, tags: options.tag ?? null },
    place,
    rootFounder(place)
  )
  if (identity.problem !== null) warn(`${identity.problem}. Nothing is reported to TRAILS`)
  // Its end would be the command's: the watchdog sees to that.
  process.on("uncaughtException", (error) => warn(`a defect of trails itself: ${error.stack ?? error.message}`))
  const code = await runWrapped({
    command,
    identity,
    environment: process.env,
    timeoutMs: options.timeout ?? null,
    graceMs: options.grace ?? GRACE_MS,
    foreground: options.foreground === true,
    takesStderr: options.stderr !== false && options.foreground !== true,
    inherited: inheritedDescriptors(),
    binFolder: BIN,
    folder,
    warn
  })
  await warned()
  // Connections and timers of the client are of no use any more.
  process.exit(code)
}
