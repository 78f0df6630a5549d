import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { check, describeViolations } from "../harness/Checker.ts"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { seeded } from "../harness/Random.ts"
import { post } from "../harness/Rest.ts"
import { queryPostgres, readPostgres } from "../harness/StoredState.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Fleet } from "../system/Fleet.ts"
import { Cluster } from "./Cluster.ts"
import { Crowd } from "./Crowd.ts"
import { Holders } from "./Holders.ts"

const LEASE_MS = 5000
/** After a fault heals everything completes within so long (P20). */
const HEALED_MS = 30_000

describe("a replica that is cut off", () => {
  let cluster: Cluster
  let crowd: Crowd
  let fleet: Fleet

  beforeAll(async () => {
    cluster = await Cluster.start({
      env: { REPLICA_LEASE: `${LEASE_MS}ms`, TRAILS_PING_INTERVAL: "3" }
    })
    crowd = await Crowd.gather(cluster, { families: 6, children: 4 })
    for (const node of crowd.all) node.status({ phase: "before" })
    fleet = new Fleet(cluster, { steady: 16, finishers: 0, rate: 100, random: seeded(12) })
    await waitUntil("the fleet is attached", () => fleet.isAttached, { withinMs: 30_000 })
  })
  afterEach(() => cluster.heal())
  afterAll(async () => {
    await fleet?.stop()
    await crowd?.[Symbol.asyncDispose]()
    await cluster?.dispose()
  })

  const heldBy = async (name: string): Promise<number> =>
    (await cluster.state()).replicas.find((replica) => replica.name === name)?.standing?.sessions ?? 0

  /** Questions for its lease that a replica has sent, or heard from others. */
  const messages = async (name: string, what: "sent" | "accepted"): Promise<number> =>
    metric(
      await readMetrics(cluster.replica(name).trailsd.http),
      `trails_replica_messages_${what}_total{kind="cut_off"}`
    )

  /** Nodes that a replica has sent away. */
  const sentAway = async (name: string): Promise<number> =>
    metric(await readMetrics(cluster.replica(name).trailsd.http), 'trails_frames_refused_total{code="going_away"}')

  /** Everybody runs and is heard: what each of them says now is stored. */
  const expectWhole = async (): Promise<void> => {
    const from = performance.now()
    const left = () => HEALED_MS - (performance.now() - from)
    const acked = crowd.all.map((node) => node.stats().acked)
    for (const node of crowd.all) node.status({ phase: "after" })
    const marks = fleet.steady.map((node) => [node, node.status({ phase: "after" })] as const)
    await waitUntil(
      "everybody is heard",
      () =>
        crowd.all.every((node, index) => node.stats().acked > acked[index]!) &&
        marks.every(([node, seq]) => (node.oldestUnacked ?? Infinity) > seq),
      { withinMs: left() }
    )
    await waitUntil(
      "everybody runs",
      async () => {
        const rows = await queryPostgres(cluster.postgres.url, "select 1 from node_status where status <> 'running'")
        return rows.length === 0
      },
      { withinMs: left() }
    )
    const stored = await readPostgres(cluster.postgres.url)
    expect(stored.rows.filter(({ kind }) => kind === "crash" || kind === "lost_contact")).toEqual([])
    console.log(`whole again ${Math.round(performance.now() - from)} ms after the healing`)
  }

  it("from Postgres, for less than a lease: it keeps its nodes, and all they said is stored", async () => {
    const name = "trailsd1"
    const held = await heldBy(name)
    expect(held).toBeGreaterThan(5)
    const reconnects = crowd.all.map((node) => node.stats().reconnects)
    cluster.cut(name, "postgres")
    await waitUntil("acks are missed", () => fleet.inFlight >= 30)
    cluster.heal(name)
    await expectWhole()
    expect(cluster.replica(name).state).toBe("up")
    expect(crowd.all.map((node) => node.stats().reconnects)).toEqual(reconnects)
  })

  it("from Postgres alone, for good: it lets its nodes go, and they run at the others; its next boot waits", async () => {
    const { name, trailsd } = cluster.replica("trailsd2")
    expect(await heldBy(name)).toBeGreaterThan(5)
    const from = performance.now()
    cluster.cut(name, "postgres")
    await waitUntil("it has stepped down", () => cluster.replica(name).state === "down", { withinMs: 5 * LEASE_MS })
    console.log(`stepped down ${Math.round(performance.now() - from)} ms after the cut, with a lease of ${LEASE_MS} ms`)
    expect(trailsd.output).toContain("reaches and has it from")
    await expectWhole()
    const starting = cluster.restart(name)
    await waitUntil("it says that it waits", async () => (await trailsd.readyz()) === 503)
    expect(cluster.balancer.ready).not.toContain(name)
    cluster.heal(name)
    await starting
  })

  it("from Postgres and from NATS: it keeps its nodes, and steps down when it can look again", async () => {
    const { name, trailsd } = cluster.replica("trailsd3")
    expect(await heldBy(name)).toBeGreaterThan(0)
    cluster.cut(name, "postgres")
    cluster.cut(name, "nats")
    await waitUntil(
      "the others have found it dead",
      async () => (await cluster.state()).replicas[2]?.standing?.leaseLeftMs === null,
      { withinMs: 4 * LEASE_MS, everyMs: 100 }
    )
    await waitUntil("it has asked in vain", async () => (await messages(name, "sent")) >= 3, { withinMs: 3 * LEASE_MS })
    expect(cluster.replica(name).state).toBe("up")
    expect(cluster.balancer.ready).not.toContain(name)
    cluster.heal(name)
    await waitUntil("it has stepped down", () => cluster.replica(name).state === "down", { withinMs: HEALED_MS })
    expect(trailsd.output).toContain("took this one for dead")
    await expectWhole()
    await cluster.restart(name)
  })

  it("all of them from Postgres, for more than their leases: each hears the others ask, and nobody lets a node go", async () => {
    const names = cluster.replicas.map(({ name }) => name)
    for (const name of names) cluster.cut(name, "postgres")
    await waitUntil(
      "each has heard the others ask",
      async () => {
        const heard = await Promise.all(names.map((name) => messages(name, "accepted")))
        return heard.every((count) => count >= 4)
      },
      { withinMs: 4 * LEASE_MS }
    )
    cluster.heal()
    await expectWhole()
    await waitUntil("each has its lease again", async () =>
      (await cluster.state()).replicas.every(({ standing }) => (standing?.leaseLeftMs ?? 0) > 0)
    )
    expect(cluster.replicas.map(({ state }) => state)).toEqual(names.map(() => "up"))
    expect(await Promise.all(names.map(sentAway))).toEqual(names.map(() => 0))
  })

  it.for([
    ["trailsd2", "reset"],
    ["trailsd1", "silent"]
  ] as const)("%s from its clients (%s): they go on at the others", async ([name, mode]) => {
    expect(await heldBy(name)).toBeGreaterThan(0)
    cluster.cut(name, "clients", mode)
    await waitUntil("nobody is held by it", async () => (await heldBy(name)) === 0, {
      withinMs: HEALED_MS,
      everyMs: 100
    })
    await waitUntil(
      "the library's nodes are at the others",
      async () => {
        const holders = await crowd.holders()
        return crowd.all.every(({ appId }) => holders.has(appId))
      },
      { withinMs: HEALED_MS, everyMs: 100 }
    )
    cluster.heal(name)
    await expectWhole()
    await waitUntil("the balancer gives it connections again", () => cluster.balancer.ready.includes(name))
  })

  it("all of them from NATS: commands given to a replica that does not hold the node are answered", async () => {
    for (const { name } of cluster.replicas) cluster.cut(name, "nats")
    await waitUntil("none is on NATS", async () => (await cluster.state()).replicas.every(({ onNats }) => !onNats), {
      withinMs: HEALED_MS,
      everyMs: 200
    })
    const holders = await Holders.read(cluster)
    const answers = await Promise.all(
      crowd.all.map(async (node) => {
        const body = { action: "echo", payload: node.appId, timeoutMs: 12_000 }
        return await post(holders.elsewhere(node)[0]!.http, `apps/${node.appId}/control`, body)
      })
    )
    expect(answers.map(({ body }) => (body as { readonly result: unknown }).result)).toEqual(
      crowd.all.map(({ appId }) => appId)
    )
    cluster.heal()
    await expectWhole()
    await waitUntil(
      "all are on NATS again",
      async () => (await cluster.state()).replicas.every(({ onNats }) => onNats),
      {
        withinMs: HEALED_MS,
        everyMs: 200
      }
    )
  })

  it("all that was acked is stored once (P1, P2, P4)", async () => {
    await fleet.stopProducing()
    await waitUntil("everything sent is answered", () => fleet.inFlight === 0, { withinMs: HEALED_MS })
    expect(describeViolations(check(fleet.all, await readPostgres(cluster.postgres.url)))).toBe("")
    expect(fleet.lostNodes).toEqual([])
  })
})
