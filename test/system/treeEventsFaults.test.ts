import { afterEach, expect, it } from "vitest"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { Postgres } from "../harness/Postgres.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { ServerMemory } from "../harness/ServerMemory.ts"
import { attach, childOf, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Watcher } from "../harness/Watcher.ts"

const MIB = 1024 * 1024
const cleanUp: Array<() => Promise<unknown> | void> = []
afterEach(async () => {
  for (const clean of cleanUp.splice(0).toReversed()) await clean()
})

const serve = async (options: Parameters<typeof Trailsd.start>[0]) => {
  const server = await Trailsd.start(options)
  cleanUp.push(() => server.dispose())
  return server
}
const onPostgres = async () => {
  const postgres = await Postgres.create()
  cleanUp.push(() => postgres.dispose())
  return postgres
}
const watchOn = async (server: Trailsd) => {
  const watcher = new Watcher(rootOf(server))
  await attach(server, watcher.node)
  watcher.subscribe("children")
  return watcher
}
const childOn = async (server: Trailsd, parent: RawNode) => {
  const node = childOf(server, parent)
  await attach(server, node)
  return node
}
const counters = (watcher: Watcher, node: RawNode) => watcher.of(node.appId).map(({ data }) => data.n)
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1)

it("embedded: live, and from a cursor after kill -9", async () => {
  const server = await serve({})
  const watcher = await watchOn(server)
  const node = await childOn(server, watcher.node)
  for (let i = 0; i < 50; i++) node.status({ i })
  await waitUntil("all", () => watcher.frames.length === 51)
  await server.kill()
  await server.start()
  await watcher.node.reRegister(await dial(server))
  watcher.subscribe("children", watcher.cursor)
  await node.reRegister(await dial(server))
  node.result(1)
  await watcher.sees(node.appId, "result")
  expect(counters(watcher, node)).toEqual(upTo(watcher.frames.length))
})

it.for(["kill", "freeze"] as const)(
  "Postgres is away (%s) while a child reports: every event comes afterwards, in order",
  async (how) => {
    const postgres = await onPostgres()
    const server = await serve({ databaseUrl: postgres.url })
    const watcher = await watchOn(server)
    const node = await childOn(server, watcher.node)
    node.status({ i: 0 })
    await watcher.sees(node.appId, "status")
    await postgres[how]()
    for (let i = 1; i <= 20; i++) node.status({ i })
    await waitUntil("trailsd notices", async () => (await server.readyz()) === 503, { withinMs: 20_000 })
    await (how === "kill" ? postgres.start() : postgres.thaw())
    await waitUntil("all events", () => watcher.frames.length === 22, { withinMs: 30_000 })
    expect(counters(watcher, node)).toEqual(upTo(22))
    expect(watcher.errors).toEqual([])
    expect(watcher.node.wire!.isOpen).toBe(true)
  }
)

it("a frozen parent with 100 MiB of events to read costs no memory, is not cut, and gets them all when it reads", async () => {
  const memory = new ServerMemory()
  cleanUp.push(() => memory.dispose())
  const postgres = await onPostgres()
  const server = await serve({ databaseUrl: postgres.url, nodeFlags: memory.nodeFlags, env: memory.env })
  const [frozen, other] = [await watchOn(server), await watchOn(server)]
  const [node, neighbour] = [await childOn(server, frozen.node), await childOn(server, other.node)]
  await frozen.sees(node.appId, "connected")
  await other.sees(neighbour.appId, "connected")
  const before = await memory.measure(server)
  frozen.node.wire!.freeze()
  const text = "x".repeat(250_000)
  for (let i = 1; i <= 400; i++) {
    node.status({ i, text })
    if (i % 20 === 0) await waitUntil("its acks", () => node.inFlight === 0, { withinMs: 30_000, everyMs: 5 })
  }
  neighbour.status({})
  await other.sees(neighbour.appId, "status")
  expect(metric(await readMetrics(server.http), "trails_subscriptions_starved")).toBe(1)
  const during = await memory.measure(server)
  expect((during.heapUsed + during.external - before.heapUsed - before.external) / MIB).toBeLessThan(25)
  expect(frozen.node.wire!.isOpen).toBe(true)
  frozen.node.wire!.thaw()
  await waitUntil("all of them", () => frozen.frames.length === 401, { withinMs: 60_000 })
  expect(counters(frozen, node)).toEqual(upTo(401))
  const sent = await readMetrics(server.http)
  expect(metric(sent, "trails_events_sent_total")).toBe(403)
  expect(metric(sent, "trails_subscriptions")).toBe(2)
})
