import { setTimeout as delay } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { makeInit } from "../../src/client/init.ts"
import { nodePlatform } from "../../src/client/NodePlatform.ts"
import type { InitOptions, TrailsNode } from "../../src/client/TrailsNode.ts"
import type { Level } from "../../src/protocol/Frames.ts"
import type { Stored, StoredRow } from "../harness/Stored.ts"
import { freePort } from "../harness/freePort.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { seeded } from "../harness/Random.ts"
import { queryPostgres, readEmbedded, readPostgres } from "../harness/StoredState.ts"
import { TcpProxy } from "../harness/TcpProxy.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { nodeProcess } from "./sdk/nodeProcess.ts"

const RUNS = 100
const PROCESSES = 20

const database = await freshDatabase()
let server: Trailsd

beforeAll(async () => {
  server = await Trailsd.start({ databaseUrl: database.url })
})
afterAll(async () => {
  await server.dispose()
  await database.drop()
})

const platform = { ...nodePlatform, watchExit: () => {} }
/** A client of its own: what one process is to the server. */
const init = (options: InitOptions): Promise<TrailsNode> => makeInit(platform)(options)

const rootAt = (url: string, level: Level, at: Trailsd = server) =>
  makeEnvelope(
    { serverEp: url, serverPubKey: at.serverKey.text, secLevel: level, startDeadline: 0 },
    level === "open" ? null : at.serverKey
  )

const level = (index: number): Level => (index % 2 === 0 ? "open" : "signed")

const rowsOf = (stored: Stored, appId: string): ReadonlyArray<StoredRow> =>
  stored.rows.filter((row) => row.appId === appId)

const payloadOf = (row: StoredRow | undefined): unknown =>
  (JSON.parse(row?.frame ?? "{}") as { readonly payload?: unknown }).payload

/** Exactly one Result, this one, and the node is done. */
const isDelivered = (stored: Stored, appId: string, result: unknown): boolean => {
  const results = rowsOf(stored, appId).filter(({ kind }) => kind === "result")
  return (
    stored.nodes.get(appId)?.status === "done" &&
    results.length === 1 &&
    JSON.stringify(payloadOf(results[0])) === JSON.stringify(result)
  )
}

describe("init; status; result; shutdown", () => {
  it(`delivers in ${RUNS} of ${RUNS} runs, the socket not being open yet, ${PROCESSES} of them processes`, async () => {
    const roots = Array.from({ length: RUNS }, (_, index) => rootAt(server.url, level(index)))
    const inProcess = roots.slice(PROCESSES).map(async ({ info }) => {
      const node = await init({ info })
      expect(node.stats().state).toBe("connecting")
      node.status({ step: 1 })
      node.result({ answer: 42 })
      return await node.shutdown()
    })
    const waiting = roots.slice(0, PROCESSES)
    const ends: Array<number | null> = []
    const worker = async (): Promise<void> => {
      for (let root = waiting.pop(); root !== undefined; root = waiting.pop())
        ends.push((await nodeProcess(root.info, "result")).code)
    }
    await Promise.all([worker(), worker(), worker()])
    expect(await Promise.all(inProcess)).toEqual(Array.from({ length: RUNS - PROCESSES }, () => true))
    expect(ends).toEqual(Array.from({ length: PROCESSES }, () => 0))
    const stored = await readPostgres(database.url)
    expect(roots.filter(({ appId }) => !isDelivered(stored, appId, { answer: 42 }))).toEqual([])
  })

  const restarted = async (at: Trailsd, runs: number): Promise<ReadonlyArray<string>> => {
    const random = seeded(runs)
    const roots = Array.from({ length: runs }, (_, index) => rootAt(at.url, level(index), at))
    const ended = roots.map(async ({ info }, index) => {
      await delay(random.int(1500))
      const node = await init({ info })
      node.status({ step: 1 })
      await delay(random.int(1500))
      node.result({ index })
      // The server is away for some seconds; that is longer than `shutdown` waits by itself.
      return await node.shutdown({ timeoutMs: 30_000 })
    })
    await delay(1000)
    await at.kill()
    await at.start()
    expect(await Promise.all(ended)).toEqual(roots.map(() => true))
    return roots.map(({ appId }) => appId)
  }

  it(`delivers in ${RUNS} of ${RUNS} runs while trailsd is killed and started again`, async () => {
    const appIds = await restarted(server, RUNS)
    const stored = await readPostgres(database.url)
    expect(appIds.filter((appId, index) => !isDelivered(stored, appId, { index }))).toEqual([])
  })

  it("the same on embedded storage", async () => {
    const embedded = await Trailsd.start()
    try {
      const appIds = await restarted(embedded, 20)
      await embedded.stop()
      const stored = await readEmbedded(`${embedded.dataDir}/pglite`)
      expect(appIds.filter((appId, index) => !isDelivered(stored, appId, { index }))).toEqual([])
    } finally {
      await embedded.dispose()
    }
  })
})

describe("what the end of a process means", () => {
  const ended = async (how: string) => {
    const { appId, info } = rootAt(server.url, "signed")
    const end = await nodeProcess(info, how)
    const [row] = await waitUntil("the node has ended", async () => {
      const rows = await queryPostgres(
        database.url,
        "SELECT s.status, s.outcome, l.payload FROM node_status s LEFT JOIN node_log l ON l.app_id = s.app_id AND l.n = s.n WHERE s.app_id = $1 AND s.status IN ('done', 'error', 'crashed')",
        [appId]
      )
      return rows.length === 1 && rows
    })
    return { end, row: row! }
  }

  it("nothing left to do → done, completed", async () => {
    const { end, row } = await ended("natural")
    expect(end).toMatchObject({ code: 0, stderr: "" })
    expect(row).toMatchObject({ status: "done", outcome: { reason: "completed" } })
  })

  it("process.exit(0) → done, completed", async () => {
    const { end, row } = await ended("exit 0")
    expect(end.code).toBe(0)
    expect(row).toMatchObject({ status: "done", outcome: { reason: "completed" } })
  })

  it("process.exit(3) → error, and the code is the reason", async () => {
    const { end, row } = await ended("exit 3")
    expect(end.code).toBe(3)
    expect(row).toMatchObject({ status: "error", outcome: { reason: "exit code 3" } })
  })

  it("an uncaught exception → error with name, code, stack and cause; the process dies of it as ever", async () => {
    const { end, row } = await ended("throw")
    expect(end.code).toBe(1)
    expect(end.stderr).toContain("TypeError: it broke")
    expect(row).toMatchObject({
      status: "error",
      payload: {
        message: "it broke",
        detail: {
          name: "TypeError",
          code: "E_BROKE",
          stack: expect.stringContaining("oneNode.ts"),
          cause: { message: "the reason" }
        }
      }
    })
  })

  it("an unhandled rejection → error", async () => {
    const { end, row } = await ended("reject")
    expect(end.code).toBe(1)
    expect(row).toMatchObject({ status: "error", payload: { message: "nobody caught it" } })
  })

  it("killed → crashed", async () => {
    const { end, row } = await ended("kill")
    expect(end.signal).toBe("SIGKILL")
    expect(row).toMatchObject({ status: "crashed", outcome: { reason: "connection_drop" } })
  })
})

describe("without a server", () => {
  it("a process ends by itself when its work is done, and shutdown says that nothing was stored", async () => {
    const port = await freePort()
    const { info } = rootAt(`ws://127.0.0.1:${port}/ws`, "signed")
    const [natural, result] = await Promise.all([nodeProcess(info, "natural"), nodeProcess(info, "result", "300")])
    expect(natural).toMatchObject({ code: 0, stderr: "" })
    expect(result).toMatchObject({ code: 1, stderr: "" })
  })
})

describe("connections", () => {
  const proxies: Array<TcpProxy> = []
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.close()
  })

  it("cut again and again under 5,000 reports: none is lost, none comes twice, the order holds (P1, P2)", async () => {
    const proxy = await TcpProxy.to("127.0.0.1", server.port)
    proxies.push(proxy)
    const { appId, info } = rootAt(`ws://127.0.0.1:${proxy.port}/ws`, "signed")
    const node = await init({ info })
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 500; i++) expect(node.status({ i: round * 500 + i }).queued).toBe(true)
      await waitUntil("some are stored", () => node.stats().acked > round * 400, { withinMs: 30_000 })
      proxy.breakAll()
    }
    node.result({ all: true })
    expect(await node.shutdown({ timeoutMs: 30_000 })).toBe(true)
    expect(node.stats().reconnects).toBeGreaterThanOrEqual(9)
    const rows = rowsOf(await readPostgres(database.url), appId).filter(({ kind }) => kind === "status")
    expect(rows.map((row) => (payloadOf(row) as { readonly i: number }).i)).toEqual(
      Array.from({ length: 5000 }, (_, i) => i)
    )
  })

  it("50 nodes of one process share a socket, and leave it together", async () => {
    await waitUntil(
      "the sockets of the tests before are closed",
      async () => metric(await readMetrics(server.http), "trails_sockets") === 0
    )
    const together = makeInit(platform)
    const nodes = await Promise.all(
      Array.from({ length: 50 }, () => together({ info: rootAt(server.url, "signed").info }))
    )
    expect(await Promise.all(nodes.map((node) => node.ready()))).not.toContain(false)
    const metrics = await readMetrics(server.http)
    expect(metric(metrics, "trails_sockets")).toBe(1)
    expect(metric(metrics, "trails_sessions")).toBe(50)
    expect(await Promise.all(nodes.map((node) => node.shutdown()))).not.toContain(false)
    await waitUntil("the socket is closed", async () => metric(await readMetrics(server.http), "trails_sockets") === 0)
  })

  it("trailsd is stopped and started → going_away, and every node comes back with what it had to say", async () => {
    const roots = Array.from({ length: 10 }, (_, index) => rootAt(server.url, level(index)))
    const nodes = await Promise.all(roots.map(({ info }) => init({ info })))
    await Promise.all(nodes.map((node) => node.ready()))
    let said = 0
    const talking = setInterval(() => {
      said++
      for (const node of nodes) node.status({ said })
    }, 5)
    await server.stop()
    await server.start()
    await waitUntil(
      "all are back",
      () => nodes.every((node) => node.stats().reconnects > 0 && node.stats().state === "attached"),
      { withinMs: 30_000 }
    )
    clearInterval(talking)
    expect(await Promise.all(nodes.map((node) => node.shutdown({ timeoutMs: 20_000 })))).not.toContain(false)
    const stored = await readPostgres(database.url)
    for (const { appId } of roots) {
      const rows = rowsOf(stored, appId)
      expect(rows.filter(({ kind }) => kind === "status")).toHaveLength(said)
      expect(rows.filter(({ kind }) => kind === "crash" || kind === "lost_contact")).toEqual([])
    }
  })
})
