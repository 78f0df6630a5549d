import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "@nats-io/transport-node"
import { afterEach, expect, it } from "vitest"
import { subscribe } from "../../src/events/index.ts"
import { leash } from "../harness/Leash.ts"
import { withoutSurroundings } from "../harness/surroundings.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { User } from "../system/run/Wrapped.ts"

const MAIN = join(import.meta.dirname, "clusterMain.ts")
/** npm's echo of a Ctrl-C comes within half a second and is not meant (clusterMain). */
const PAST_THE_ECHO_MS = 600

const lives = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** The program as a script runs it: lines in, lines out. */
class Program {
  readonly process: ChildProcess
  readonly #unleash: () => void
  text = ""

  constructor(...args: ReadonlyArray<string>) {
    this.process = spawn(process.execPath, [MAIN, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: withoutSurroundings()
    })
    this.#unleash = leash(this.process.pid!)
    for (const stream of [this.process.stdout!, this.process.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => (this.text += text))
  }

  says(pattern: RegExp): Promise<RegExpExecArray> {
    const seen = () => pattern.exec(this.text)
    return waitUntil(`it says ${String(pattern)}`, seen, { withinMs: 60_000 }).catch((cause: unknown) => {
      throw new Error(`it said:\n${this.text}`, { cause })
    })
  }

  /** Resolves when it is up, with the pids of all that it has started. */
  async started(): Promise<ReadonlyArray<number>> {
    await this.says(/export TRAILS_SERVER=/)
    const pids = [...this.text.matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid))
    expect(pids.filter(lives)).toEqual(pids)
    return pids
  }

  async line(line: string, answer: RegExp): Promise<void> {
    this.text = ""
    this.process.stdin!.write(`${line}\n`)
    await this.says(answer)
  }

  async ended(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, "exit")
    this.#unleash()
    return this.process.exitCode
  }
}

const programs: Array<Program> = []
const folders: Array<string> = []
const start = (...args: ReadonlyArray<string>): Program => {
  const program = new Program(...args)
  programs.push(program)
  return program
}
afterEach(async () => {
  for (const program of programs.splice(0)) {
    program.process.kill("SIGKILL")
    await program.ended()
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** As docs/events.md says it. */
const firstEvent = async (servers: string) => {
  const connection = await connect({ servers: servers.split(","), maxReconnectAttempts: -1 })
  try {
    for await (const event of subscribe(connection, { name: "first" })) return event.data
  } finally {
    await connection.close()
  }
}

const gone = (pids: ReadonlyArray<number>) =>
  waitUntil("nothing is left of it", () => !pids.some(lives), { withinMs: 20_000 })

it("the command line works by what it prints, through faults by line; quit ends all of it", async () => {
  const program = start("--replicas", "2", "--nats", "2", "--signed")
  const pids = await program.started()
  expect(pids).toHaveLength(5)
  const [, server, key] = await program.says(/export TRAILS_SERVER=(\S+) TRAILS_ADMIN_KEY_FILE=(\S+)/)
  const home = mkdtempSync(join(tmpdir(), "trails-home-"))
  folders.push(home)
  const user = new User({ folder: home, http: server! })
  const trails = (...args: ReadonlyArray<string>) => user.trails(args, { TRAILS_ADMIN_KEY_FILE: key! }).ended
  expect(await trails("run", "--name", "one", "--", "true")).toMatchObject({ code: 0, stderr: "" })
  const [, nats] = await program.says(/export NATS_URL=(\S+)/)
  expect(await firstEvent(nats!)).toMatchObject({ kind: "scheduled", app_name: "one" })

  await program.line("kill trailsd1", /trailsd1 is dead/)
  await waitUntil("the balancer leaves it out", async () => {
    await program.line("state", /^trailsd1 +down .*\n(?:.*\n)*postgres +up .*answers/m)
    return /^trailsd1 +down +port \d+ +no pid +not ready /m.test(program.text) && !program.text.includes("reached")
  })
  expect(await trails("run", "--name", "two", "--", "true")).toMatchObject({ code: 0, stderr: "" })
  await program.line("restart trailsd1", /trailsd1 is up, pid \d+/)
  await program.line("pause nats2 0.2", /nats2 is paused for 0.2 s/)
  await program.line("kill trailsd9", /no: .*there are trailsd1, trailsd2, nats1, nats2, postgres/)
  await program.line("cut nats1 clients", /no: there is no replica "nats1"; there are trailsd1, trailsd2/)
  await program.line("cut trailsd2 nats", /trailsd2 is cut from nats \(silent\)/)
  await program.line("state", /^trailsd2 .*CUT from nats \(silent\)$/m)
  await program.line("heal", /every replica has whole links/)
  const shown = await trails("tree", "--json")
  expect(shown.code).toBe(0)
  expect(shown.stdout).toContain('"one"')
  expect(shown.stdout).toContain('"two"')
  user.dispose()

  await program.line("state", /trailsd1 +up +port \d+ +pid \d+/)
  const all = [...pids, ...[...program.text.matchAll(/ pid (\d+)/g)].map(([, pid]) => Number(pid))]
  program.process.stdin!.write("quit\n")
  // Two of the lines were not obeyed.
  expect(await program.ended()).toBe(1)
  await gone(all)
})

it("the end of the input ends all of it", async () => {
  const program = start("--replicas", "1", "--nats", "1")
  const pids = await program.started()
  program.process.stdin!.end("pause trailsd1\n")
  expect(await program.ended()).toBe(0)
  await gone(pids)
})

it("Ctrl-C ends all of it in order, a second one at once", async () => {
  const program = start("--replicas", "1", "--nats", "1")
  const pids = await program.started()
  // Whoever does not stop in order is waited for.
  process.kill(pids[0]!, "SIGSTOP")
  program.process.kill("SIGINT")
  await program.says(/Stopping everything/)
  const from = performance.now()
  await waitUntil("the echo is over", () => performance.now() - from > PAST_THE_ECHO_MS)
  expect(lives(program.process.pid!)).toBe(true)
  program.process.kill("SIGINT")
  expect(await program.ended()).toBe(130)
  await gone(pids)
})

it("kill -9 leaves no process behind", async () => {
  const program = start("--replicas", "1", "--nats", "1")
  const pids = await program.started()
  program.process.kill("SIGKILL")
  await program.ended()
  await gone(pids)
})
