import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { check, describeViolations } from "../harness/Checker.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { post } from "../harness/Rest.ts"
import { queryPostgres, readPostgres } from "../harness/StoredState.ts"
import { attach, dial, rootOf } from "../harness/TestNode.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import type { Wire } from "../harness/Wire.ts"
import { Cluster } from "./Cluster.ts"
import { Crowd } from "./Crowd.ts"

const LEASE_MS = 2000
const NODES = 20
/** What a child that listens to it would take from an owner as the server's word. */
const WORDS = new Set(["ack", "registered", "control", "event", "declared"])

describe("SIGSTOP of an owner for two leases", () => {
  let cluster: Cluster
  let crowd: Crowd

  beforeAll(async () => {
    cluster = await Cluster.start({ env: { REPLICA_LEASE: `${LEASE_MS}ms` } })
    crowd = await Crowd.gather(cluster, { families: 3, children: 2 })
  })
  afterAll(async () => {
    await crowd?.[Symbol.asyncDispose]()
    await cluster?.dispose()
  })

  const statesOf = async (nodes: ReadonlyArray<RawNode>) => {
    const rows = await queryPostgres(
      cluster.postgres.url,
      "select app_id, status, epoch from node_status where app_id = any($1)",
      [nodes.map(({ appId }) => appId)]
    )
    return rows.map((row) => ({ status: String(row["status"]), epoch: Number(row["epoch"]) }))
  }

  it("leaves an owner that stores nothing, says nothing that a child takes, and steps down (P4, P5)", async () => {
    const owner = cluster.replica("trailsd1")
    expect((await cluster.state()).replicas.map(({ standing }) => standing?.leaseMs)).toEqual([
      LEASE_MS,
      LEASE_MS,
      LEASE_MS
    ])
    const nodes = Array.from({ length: NODES }, (_, index) =>
      rootOf(
        owner,
        { level: index % 2 === 0 ? "open" : "signed", startDeadline: 0 },
        { onControl: () => ({ result: "obeyed" }) }
      )
    )
    const old = await Promise.all(nodes.map((node) => attach(owner, node)))
    for (const node of nodes) node.status({ phase: "before" })
    await waitUntil("the first reports are acked", () => nodes.every((node) => node.inFlight === 0))

    const held = [...(await crowd.holders()).values()].filter(({ name }) => name === "trailsd1")
    expect(held.length).toBeGreaterThan(NODES)

    cluster.pause("trailsd1")
    const from = performance.now()
    // They lie in the frozen process's sockets: it will read them when it wakes up.
    for (const node of nodes) for (let i = 0; i < 20; i++) node.status({ phase: "frozen", i })
    await waitUntil(
      "the others have taken all of its nodes for orphans",
      async () => (await statesOf(nodes)).every(({ epoch, status }) => status === "reconnecting" && epoch === 2),
      { withinMs: 20_000 }
    )

    // Half of them come back elsewhere while the old socket is still open, and are told something there.
    const moved = nodes.slice(0, NODES / 2)
    const heard: Array<string> = []
    const overhear = (node: RawNode, wire: Wire) =>
      wire.listen(node.appId, ({ frame }) => {
        if (WORDS.has(frame.type)) heard.push(`${frame.type} for ${node.appId}`)
      })
    await Promise.all(moved.map(async (node) => await node.reRegister(await dial(cluster))))
    for (const [index, node] of moved.entries()) overhear(node, old[index]!)
    const answers = await Promise.all(
      moved.map(({ appId }) => post(cluster.http, `apps/${appId}/control`, { action: "note", timeoutMs: 10_000 }))
    )
    expect(answers.map(({ body }) => (body as { readonly state: string }).state)).toEqual(moved.map(() => "answered"))
    // The others have no new session yet: until then they take what their old one says.
    const left = nodes.slice(NODES / 2)
    const settled = left.map((node) => node.inFlight)
    await waitUntil("two leases have passed", () => performance.now() - from >= 2 * LEASE_MS)
    // Of these: the library's nodes are on their way back all the time.
    const ids = new Set(nodes.map(({ appId }) => appId))
    const rowsOf = async () => (await readPostgres(cluster.postgres.url)).rows.filter(({ appId }) => ids.has(appId))
    const before = await rowsOf()

    cluster.resume("trailsd1")
    await waitUntil("it has stepped down", () => owner.state === "down", { withinMs: 15_000 })
    expect(owner.trailsd.output).toContain("another replica took this one for dead")
    await Promise.all(old.map((wire) => wire.closed))
    expect(heard).toEqual([])
    expect(left.map((node) => node.inFlight)).toEqual(settled)
    expect(await rowsOf()).toEqual(before)

    await Promise.all(left.map(async (node) => await node.reRegister(await dial(cluster))))
    await waitUntil("everything is acked", () => nodes.every((node) => node.inFlight === 0))
    // The client library comes back by itself.
    const elsewhere = await waitUntil("the library's nodes are at the others", async () => {
      const holders = await crowd.holders()
      return crowd.all.every(({ appId }) => holders.has(appId)) && holders
    })
    expect([...elsewhere.values()].map(({ name }) => name)).not.toContain("trailsd1")
    for (const node of crowd.all) node.status({ phase: "after" })
    await waitUntil("they are heard", () => crowd.all.every((node) => node.stats().waiting === 0))
    expect(moved.map(({ controls }) => controls.length)).toEqual(moved.map(() => 1))
    const stored = await readPostgres(cluster.postgres.url)
    expect(describeViolations(check(nodes, stored))).toBe("")
    expect((await statesOf(nodes)).map(({ status }) => status)).toEqual(nodes.map(() => "running"))
    expect(stored.rows.filter(({ kind }) => kind === "crash" || kind === "lost_contact")).toEqual([])

    await cluster.restart("trailsd1")
    expect(await owner.trailsd.readyz()).toBe(200)
  })
})
