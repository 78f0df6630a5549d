import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { afterAll, beforeAll, expect, it } from "vitest"
import { withoutSurroundings } from "../harness/surroundings.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Terminals } from "./tour/Terminal.ts"

const ROOT = resolve(import.meta.dirname, "../..")
const folder = mkdtempSync(join(tmpdir(), "modes-"))
let server: Trailsd
let terminals: Terminals

beforeAll(async () => {
  server = await Trailsd.start()
  const { PATH = "" } = withoutSurroundings()
  terminals = new Terminals(folder, { HOME: folder, PATH, TMPDIR: folder, TRAILS_SERVER: server.http })
})

afterAll(async () => {
  terminals.close()
  await server.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** Whether what is typed comes to the program key by key, as a shell wants it at its prompt. */
const isRaw = (tty: string): boolean =>
  execFileSync("stty", ["-a", "-F", tty], { encoding: "utf8" }).includes("-icanon")

it("a run that ends in the background leaves the terminal as the shell has set it at its prompt", async () => {
  const terminal = await terminals.open("modes", ROOT)
  const tty = terminals.tmux("display-message", "-p", "-t", "modes", "#{pane_tty}").trim()
  // It starts while `cat` has the terminal, and ends while the shell is at its prompt.
  await terminal.type([
    `cd ${folder}; mkfifo up go; ${ROOT}/bin/trails run -- sh -c 'echo >up; cat go' & echo $! >pid; cat up`
  ])
  await terminal.idle(30_000)
  expect(isRaw(tty)).toBe(true)
  const pid = readFileSync(join(folder, "pid"), "utf8").trim()
  writeFileSync(join(folder, "go"), "")
  await waitUntil("the run has ended", () => !existsSync(`/proc/${pid}`), { withinMs: 30_000 })
  expect(isRaw(tty)).toBe(true)
})
