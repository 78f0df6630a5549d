import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { check, describeViolations } from "../harness/Checker.ts"
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

  it("from Postgres, for more than its lease: it steps down, and its nodes run at the others", async () => {
    const name = "trailsd2"
    expect(await heldBy(name)).toBeGreaterThan(5)
    cluster.cut(name, "postgres")
    await waitUntil(
      "the others have found it dead",
      async () => (await cluster.state()).replicas[1]?.standing?.leaseLeftMs === null,
      { withinMs: 20_000, everyMs: 100 }
    )
    expect(cluster.balancer.ready).not.toContain(name)
    cluster.heal(name)
    await waitUntil("it has stepped down", () => cluster.replica(name).state === "down", { withinMs: HEALED_MS })
    await expectWhole()
    await cluster.restart(name)
  })

  it.for([
    ["trailsd3", "reset"],
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
