import { afterEach, expect, it } from "vitest"
import { within } from "../../src/run/CommandProcess.ts"
import { PrivateFolder } from "../../src/run/PrivateFolder.ts"
import { WrappedCommand } from "../../src/run/WrappedCommand.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const folders: Array<PrivateFolder> = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove()
})

/** A script of the shell that has said on its status descriptor that it is ready. */
const started = async (script: string): Promise<WrappedCommand> => {
  const folder = new PrivateFolder(3)
  folders.push(folder)
  let onReady = (): void => {}
  const ready = new Promise<void>((resolve) => (onReady = resolve))
  const command = await WrappedCommand.start({
    command: ["sh", "-c", script],
    environment: process.env,
    timeoutMs: null,
    graceMs: 3_600_000,
    foreground: false,
    takesStderr: false,
    inherited: [],
    folder,
    onStatus: () => onReady(),
    warn: () => {}
  })
  await ready
  return command
}

const isGone = (pid: number): boolean => {
  try {
    return !process.kill(pid, 0)
  } catch {
    return true
  }
}

const STUBBORN = `trap '' TERM; echo 1 >&"$TRAILS_STATUS_FD"; sleep 3600; sleep 3600`

it("a stop that allows less time shortens an earlier one; one that allows more changes nothing", async () => {
  const command = await started(STUBBORN)
  void command.stop(within(3_600_000))
  void command.stop(within(100))
  void command.stop(within(3_600_000))
  expect(await command.ended).toMatchObject({ exit: { signal: "SIGKILL" }, forced: true })
})

it("also when the first process has gone already, and another of its group has not", async () => {
  const command = await started(`(${STUBBORN}) & wait`)
  void command.stop(within(3_600_000))
  await waitUntil("the first has gone", () => isGone(command.pid))
  void command.stop(within(100))
  expect(await command.ended).toMatchObject({ exit: { signal: "SIGTERM" }, forced: true })
})
