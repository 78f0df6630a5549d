import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { freePort } from "../harness/freePort.ts"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import type { Stored } from "../harness/Stored.ts"
import { readEmbedded, readPostgres } from "../harness/StoredState.ts"
import { Trailsd, type TrailsdOptions } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { FakeServer } from "./FakeServer.ts"
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

const emptyDatabase = async (): Promise<FreshDatabase> => {
  const database = await freshDatabase()
  cleanUps.push(() => database.drop())
  return database
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
    {
      timeout: 60_000
    },
    async () => {
      const database = await emptyDatabase()
      const server = await start({ databaseUrl: database.url })
      const runs = [
        load(`--url ${server.url} --nodes 7 --messages 100 --json`),
        load(`--url ${server.url} --nodes 5 --messages 60 --level signed --processes 2 --json`, server.folder),
        load(`--url ${server.url} --nodes 4 --messages 50 --legacy --json`),
        load(`--url ${server.url} --nodes 6 --messages 40 --nodes-per-socket 3 --rate 200 --payload 2000`),
        load(`--url ${server.url} --nodes 3 --seconds 1`)
      ]
      const summaries = await Promise.all(runs.map((run) => run.summary()))
      expect(await Promise.all(runs.map((run) => run.exited))).toEqual([0, 0, 0, 0, 0])
      const timed = summaries[4]!.acked
      expect(summaries.map(({ sent, acked, lost }) => [sent, acked, lost])).toEqual([
        [100, 100, 0],
        [60, 60, 0],
        [50, 50, 0],
        [40, 40, 0],
        [timed, timed, 0]
      ])
      for (const { ackedPerSecond, p50Ms, p95Ms, p99Ms, maxMs } of summaries) {
        expect(ackedPerSecond).toBeGreaterThan(0)
        expect(p50Ms).toBeGreaterThan(0)
        const ordered = [p50Ms, p95Ms, p99Ms, maxMs]
        expect(ordered).toEqual(ordered.toSorted((a, b) => a - b))
      }
      expect(Object.keys(summaries[0]!).slice(0, 7)).toEqual([
        ...["ackedPerSecond", "p50Ms", "p95Ms", "p99Ms"],
        ...["sent", "acked", "lost"]
      ])
      // With --json there is one line on stdout, without it the same one comes last.
      expect(runs.map((run) => run.stdout.trimEnd().split("\n").length)).toEqual([1, 1, 1, 4, 4])
      const stored = await readPostgres(database.url)
      expect(statusRows(stored)).toBe(250 + timed)
      expect([...stored.nodes.values()].map(({ status }) => status)).toEqual(Array.from({ length: 25 }, () => "done"))

      const endless = load(`--url ${server.url} --nodes 5 --seconds 600`)
      await endless.underWay()
      endless.child.kill("SIGINT")
      const { acked, interrupted, lost, sent } = await endless.summary()
      expect([interrupted, lost, acked]).toEqual([true, 0, sent])
      expect(await endless.exited).toBe(0)
      expect(statusRows(await readPostgres(database.url))).toBe(250 + timed + acked)
    }
  )

  it(
    "nothing is lost when the server is killed and started again, open, signed or legacy",
    { timeout: 90_000 },
    async () => {
      const server = await start()
      const runs = ["--level open", "--level signed", "--legacy"].map((kind) =>
        load(`--url ${server.url} --nodes 10 --seconds 600 --rate 300 ${kind} --json`, server.folder)
      )
      await Promise.all(runs.map((run) => run.underWay()))
      await server.kill()
      await server.start()
      await Promise.all(runs.map((run) => run.reconnected(10)))
      let acked = 0
      for (const run of runs) {
        run.child.kill("SIGINT")
        const summary = await run.summary()
        expect(summary).toMatchObject({ lost: 0, refused: 0, violations: 0 })
        expect(await run.exited).toBe(0)
        expect(run.stderr).toContain("closed with")
        acked += summary.acked
      }
      await server.stop()
      expect(statusRows(await readEmbedded(join(server.dataDir, "pglite")))).toBe(acked)
    }
  )

  it.for(["stop", "kill"] as const)(
    "two URLs: after the %s of a server its nodes go on at the other one",
    {
      timeout: 90_000
    },
    async (end) => {
      const database = await emptyDatabase()
      const one = await start({ databaseUrl: database.url })
      const two = await start({
        databaseUrl: database.url,
        env: { TRAILS_SERVER_KEY_FILE: join(one.folder, "server.pem") }
      })
      const run = load(`--url ${one.url},${two.url} --nodes 10 --seconds 600 --rate 300 --json`)
      await run.underWay()
      await two[end]()
      await run.reconnected(5)
      run.child.kill("SIGINT")
      const summary = await run.summary()
      expect(summary).toMatchObject({ lost: 0, refused: 0, violations: 0 })
      expect(statusRows(await readPostgres(database.url))).toBe(summary.acked)
    }
  )

  it("its processes end with it, also when it is killed", async () => {
    const server = await FakeServer.start()
    cleanUps.push(() => server.close())
    server.onFrame = (frame, socket) => {
      if (frame.type === "register") server.accept(frame, socket)
      else server.ack(frame, socket)
    }
    const run = load(`--url ${server.url} --nodes 6 --processes 3 --seconds 600 --rate 100`)
    await run.underWay()
    expect(server.connected).toBe(6)
    run.child.kill("SIGKILL")
    await waitUntil("no socket is left", () => server.connected === 0)
  })

  it("says so when nobody listens", async () => {
    const run = load(`--url ws://127.0.0.1:${await freePort()} --nodes 3`)
    expect(await run.exited).toBe(69)
    expect(run.stderr).toMatch(/^No server answers\.\n {2}ws:\/\/127\.0\.0\.1:\d+\/ws: connect ECONNREFUSED/)
    expect(run.stdout).toBe("")
  })

  it("says which level a server asks for, and which key tickets need", { timeout: 60_000 }, async () => {
    const database = await emptyDatabase()
    const server = await start({ databaseUrl: database.url, env: { TRAILS_MIN_LEVEL: "signed" } })
    const asked = `--url ${server.url} --nodes 3 --messages 3`
    const open = load(asked)
    const keyless = load(`${asked} --level signed`)
    const foreign = load(`${asked} --level signed --admin-key ${join(server.folder, "server.pem")}`)
    const legacy = load(`${asked} --legacy`)
    expect(await open.exited).toBe(1)
    expect(open.stderr).toContain("--level signed")
    expect(await keyless.exited).toBe(78)
    expect(keyless.stderr).toContain("--admin-key FILE")
    expect(await foreign.exited).toBe(1)
    expect(foreign.stderr).toContain("refused a ticket: 401")
    expect(await legacy.summary()).toMatchObject({ sent: 0, refused: 3 })
    expect(await legacy.exited).toBe(1)
    expect(legacy.stderr).toContain("level_too_weak")
  })
})
