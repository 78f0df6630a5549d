import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { post, rest } from "../harness/Rest.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { Cluster } from "./Cluster.ts"
import { Crowd } from "./Crowd.ts"

const FAMILIES = 10
const CHILDREN = 9

type Body = Readonly<Record<string, unknown>>
const bodyOf = (answer: { readonly body: unknown }): Body => answer.body as Body

describe("100 nodes that came through the balancer, each asked for at a replica that does not hold it", () => {
  let cluster: Cluster
  let crowd: Crowd

  beforeAll(async () => {
    cluster = await Cluster.start()
    crowd = await Crowd.gather(cluster, { families: FAMILIES, children: CHILDREN })
  })
  afterAll(async () => {
    await crowd?.[Symbol.asyncDispose]()
    await cluster?.dispose()
  })

  it("are spread over all replicas", async () => {
    const { replicas } = await cluster.state()
    const held = replicas.map(({ standing }) => standing?.sessions ?? 0)
    expect(held.reduce((sum, sessions) => sum + sessions, 0)).toBe(FAMILIES * (CHILDREN + 1))
    expect(Math.min(...held)).toBeGreaterThan(20)
  })

  it("commands are answered", async () => {
    const elsewhere = await crowd.elsewhere()
    const answers = await Promise.all(
      crowd.all.map(async (node) => {
        const body = { action: "echo", payload: node.appId, timeoutMs: 15_000 }
        return bodyOf(await post(elsewhere(node).http, `apps/${node.appId}/control`, body))
      })
    )
    expect(answers.map(({ result, state }) => [state, result])).toEqual(
      crowd.all.map((node) => ["answered", node.appId])
    )
  })

  it("who waits for a tree is told of what is reported below", async () => {
    const { root, members } = crowd.families[0]!
    const elsewhere = await crowd.elsewhere()
    const { http } = elsewhere(root)
    const before = bodyOf(await rest(http, `apps/${root.appId}/tree`))
    const later = rest(http, `apps/${root.appId}/tree?after=${String(before["cursor"])}&timeout=15`)
    members[0]!.status({ step: 1 })
    const told = bodyOf(await later)
    expect(told["unchanged"]).toBe(false)
    expect((told["items"] as ReadonlyArray<Body>).find((item) => item["app_id"] === members[0]!.appId)).toMatchObject({
      status: "running"
    })
  })

  it("who waits for an end is told of it, and so is the parent, whichever replica it is at", async () => {
    const elsewhere = await crowd.elsewhere()
    const ending = crowd.families.slice(0, 5)
    const ends = ending.flatMap(({ children, members }) =>
      members.map((node, index) => ({ node, child: children[index]!, http: elsewhere(node).http }))
    )
    const waits = ends.map(({ http, node }) => rest(http, `apps/${node.appId}/wait?timeout=15`))
    const outcomes = ends.map(({ child }) => child.wait({ timeoutMs: 15_000 }))
    for (const { node } of ends) node.result({ of: node.appId })
    for (const [index, answer] of (await Promise.all(waits)).entries()) {
      expect(answer.body).toMatchObject({
        ended: true,
        status: "done",
        outcome: { payload: { of: ends[index]!.node.appId } }
      })
    }
    for (const [index, outcome] of (await Promise.all(outcomes)).entries()) {
      expect(outcome).toMatchObject({ state: "done", result: { of: ends[index]!.node.appId } })
    }
  })

  it("cascades reach every node, leaves first, and end", async () => {
    const elsewhere = await crowd.elsewhere()
    const doomed = crowd.families.slice(5)
    const results = await Promise.all(
      doomed.map(async ({ root }) => {
        const { http } = elsewhere(root)
        const { id } = bodyOf(await post(http, `apps/${root.appId}/cancel?cascade=true`, { graceMs: 5000 }))
        return bodyOf(await rest(http, `cascades/${String(id)}?timeout=14`))
      })
    )
    expect(results.map(({ counts, state, total }) => ({ counts, state, total }))).toEqual(
      doomed.map(() => ({
        counts: expect.objectContaining({ acked: CHILDREN + 1 }),
        state: "done",
        total: CHILDREN + 1
      }))
    )
    const rows = await queryPostgres(cluster.postgres.url, "select app_id, status from node_status")
    const states = new Map(rows.map((row) => [row["app_id"], row["status"]]))
    expect(doomed.flatMap(({ members, root }) => [root, ...members]).map(({ appId }) => states.get(appId))).toEqual(
      doomed.flatMap(({ members }) => ["cancelled", ...members.map(() => "cancelled")])
    )
  })
})
