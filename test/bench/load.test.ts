import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { freePort } from "../harness/freePort.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import type { Stored } from "../harness/Checker.ts"
import { readEmbedded, readPostgres } from "../harness/StoredState.ts"
import { Trailsd, type TrailsdOptions } from "../harness/Trailsd.ts"
import { RunningLoad } from "./RunningLoad.ts"

const cleanUps: Array<() => Promise<void>> = []
afterEach(async () => {
  while (cleanUps.length > 0) await cleanUps.pop()!()
})

const start = async (options: TrailsdOptions = {}): Promise<Trailsd> => {
  const server = await Trailsd.start({ ...options, env: { TRAILS_MIN_LEVEL: "open", ...options.env } })
  cleanUps.push(() => server.dispose())
  return server
}

const load = (args: string, home?: string): RunningLoad => {
  const run = new RunningLoad(args.split(" "), home)
  cleanUps.push(async () => {
    run.child.kill("SIGKILL")
    await run.exited
  })
  return run
}

const statusRows = ({ rows }: Stored): number => rows.filter(({ kind }) => kind === "status").length

describe("load", () => {
  it(
    "open, signed and legacy: what it says to be acked is what is stored, and every node ends as done",
    { timeout: 60_000 },
    async () => {
      const server = await start()
      const runs = [
        load(`--url ${server.url} --nodes 7 --messages 100 --json`),
        load(`--url ${server.url} --nodes 5 --messages 60 --level signed --processes 2 --json`, server.folder),
        load(`--url ${server.url} --nodes 4 --messages 50 --legacy --json`),
        load(`--url ${server.url} --nodes 6 --messages 40 --nodes-per-socket 3 --rate 200 --payload 2000`)
      ]
      const summaries = await Promise.all(runs.map((run) => run.summary()))
      expect(await Promise.all(runs.map((run) => run.exited))).toEqual([0, 0, 0, 0])
      expect(summaries.map(({ sent, acked, lost }) => [sent, acked, lost])).toEqual([
        [100, 100, 0],
        [60, 60, 0],
        [50, 50, 0],
        [40, 40, 0]
      ])
      for (const { ackedPerSecond, p50Ms, p95Ms, p99Ms, maxMs } of summaries) {
        expect(ackedPerSecond).toBeGreaterThan(0)
        expect(p50Ms).toBeGreaterThan(0)
        expect([p50Ms, p95Ms, p99Ms, maxMs]).toEqual([p50Ms, p95Ms, p99Ms, maxMs].toSorted((a, b) => a - b))
      }
      expect(Object.keys(summaries[0]!).slice(0, 7)).toEqual([
        "ackedPerSecond",
        "p50Ms",
        "p95Ms",
        "p99Ms",
        "sent",
        "acked",
        "lost"
      ])
      // With --json there is one line on stdout, without it the same one comes last.
      expect(runs.map((run) => run.stdout.trimEnd().split("\n").length)).toEqual([1, 1, 1, 4])
      await server.stop()
      const stored = await readEmbedded(join(server.dataDir, "pglite"))
      expect(statusRows(stored)).toBe(250)
      expect([...stored.nodes.values()].map(({ status }) => status)).toEqual(Array.from({ length: 22 }, () => "done"))
    }
  )

  it("--seconds: what was under way at the end is waited for", { timeout: 60_000 }, async () => {
    const server = await start()
    const run = load(`--url ${server.url} --nodes 10 --seconds 1 --json`)
    const { acked, lost, sent } = await run.summary()
    expect(await run.exited).toBe(0)
    expect([sent, lost]).toEqual([acked, 0])
    await server.stop()
    expect(statusRows(await readEmbedded(join(server.dataDir, "pglite")))).toBe(acked)
  })

  it.for(["open", "signed"])(
    "%s: nothing is lost when the server is killed and started again",
    { timeout: 90_000 },
    async (level) => {
      const server = await start()
      const run = load(
        `--url ${server.url} --nodes 20 --messages 2000 --rate 500 --level ${level} --json`,
        server.folder
      )
      await run.underWay()
      await server.kill()
      await server.start()
      const summary = await run.summary()
      expect(run.stderr).toContain("closed with")
      expect(summary).toMatchObject({ sent: 2000, acked: 2000, lost: 0, refused: 0, violations: 0, reconnects: 20 })
      expect(await run.exited).toBe(0)
      await server.stop()
      expect(statusRows(await readEmbedded(join(server.dataDir, "pglite")))).toBe(2000)
    }
  )

  it("two URLs: the nodes of a server that stops go on at the other one", { timeout: 90_000 }, async () => {
    const database = await freshDatabase()
    cleanUps.push(() => database.drop())
    const one = await start({ databaseUrl: database.url })
    const two = await start({
      databaseUrl: database.url,
      env: { TRAILS_SERVER_KEY_FILE: join(one.folder, "server.pem") }
    })
    const run = load(`--url ${one.url},${two.url} --nodes 10 --messages 2000 --rate 500 --json`)
    await run.underWay()
    await two.stop()
    const summary = await run.summary()
    expect(summary).toMatchObject({ sent: 2000, acked: 2000, lost: 0, refused: 0, violations: 0, reconnects: 5 })
    await one.stop()
    expect(statusRows(await readPostgres(database.url))).toBe(2000)
  })

  it("Ctrl-C ends it with the summary so far", { timeout: 60_000 }, async () => {
    const server = await start()
    const run = load(`--url ${server.url} --nodes 5 --seconds 600`)
    await run.underWay()
    run.child.kill("SIGINT")
    const { acked, interrupted, lost, sent } = await run.summary()
    expect([interrupted, lost, acked]).toEqual([true, 0, sent])
    expect(await run.exited).toBe(0)
  })

  it("says so when nobody listens", async () => {
    const run = load(`--url ws://127.0.0.1:${await freePort()} --nodes 3`)
    expect(await run.exited).toBe(69)
    expect(run.stderr).toMatch(/^No server answers\.\n {2}ws:\/\/127\.0\.0\.1:\d+\/ws: connect ECONNREFUSED/)
    expect(run.stdout).toBe("")
  })

  it("says which level a server asks for, and which key tickets need", { timeout: 60_000 }, async () => {
    const server = await start({ env: { TRAILS_MIN_LEVEL: "signed" } })
    const open = load(`--url ${server.url} --nodes 3`)
    expect(await open.exited).toBe(1)
    expect(open.stderr).toContain("--level signed")
    const keyless = load(`--url ${server.url} --nodes 3 --level signed`)
    expect(await keyless.exited).toBe(78)
    expect(keyless.stderr).toContain("--admin-key FILE")
    const foreign = load(
      `--url ${server.url} --nodes 3 --level signed --admin-key ${join(server.folder, "server.pem")}`
    )
    expect(await foreign.exited).toBe(1)
    expect(foreign.stderr).toContain("refused a ticket: 401")
    const legacy = load(`--url ${server.url} --nodes 3 --messages 3 --legacy`)
    expect(await legacy.summary()).toMatchObject({ sent: 0, refused: 3 })
    expect(await legacy.exited).toBe(1)
    expect(legacy.stderr).toContain("level_too_weak")
  })
})
