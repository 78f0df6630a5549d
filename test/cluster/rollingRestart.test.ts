import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { showSpread } from "../../bench/spread.ts"
import { check, describeViolations } from "../harness/Checker.ts"
import { seeded } from "../harness/Random.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { post, rest } from "../harness/Rest.ts"
import { readPostgres } from "../harness/StoredState.ts"
import { attach, dial, rootOf } from "../harness/TestNode.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Fleet } from "../system/Fleet.ts"
import { Cluster } from "./Cluster.ts"
import { Crowd } from "./Crowd.ts"
import { Reporting } from "./Reporting.ts"

const NAMES = ["trailsd1", "trailsd2", "trailsd3"] as const
const CHILDREN = 4
const WITNESSES = 8
const PATIENT = { withinMs: 30_000 }
const VERDICTS = new Set(["crash", "lost_contact"])

type Body = Readonly<Record<string, unknown>>

describe("a rolling restart", () => {
  let cluster: Cluster
  let crowd: Crowd
  let fleet: Fleet
  let reporting: Reporting
  let staying: ReadonlyArray<TrailsNode>
  const witnesses: Array<RawNode> = []
  /** How often a node has carried out the command of this key. */
  const runs = new Map<string, number>()

  beforeAll(async () => {
    cluster = await Cluster.start({ env: { DRAIN_DELAY: "2s" } })
    // The first three families end by cascades, one at each restart; the others report all the time.
    crowd = await Crowd.gather(cluster, { families: 6, children: CHILDREN })
    staying = crowd.families.slice(NAMES.length).flatMap(({ members, root }) => [root, ...members])
    for (const node of staying) {
      node.on("count", (key) => {
        runs.set(String(key), (runs.get(String(key)) ?? 0) + 1)
        return key
      })
    }
    fleet = new Fleet(cluster, { steady: 16, finishers: 0, rate: 100, random: seeded(12) })
    await waitUntil("the fleet is attached", () => fleet.isAttached, PATIENT)
    reporting = new Reporting(staying)
  })
  afterAll(async () => {
    reporting?.[Symbol.dispose]()
    await fleet?.stop()
    await crowd?.[Symbol.asyncDispose]()
    await cluster?.dispose()
  })

  /** By the balancer, as a careful caller asks: what is no answer yet is asked again, with the same key. */
  const commanded = async ({ appId }: { readonly appId: string }): Promise<Body> => {
    const idempotencyKey = randomUUID()
    const body = { action: "count", payload: idempotencyKey, idempotencyKey, timeoutMs: 5000 }
    return await waitUntil(
      "the command is answered",
      async () => {
        const told = (await post(cluster.http, `apps/${appId}/control`, body)).body as Body
        return told["state"] === "answered" && told
      },
      PATIENT
    )
  }

  const cancelled = async ({ appId }: { readonly appId: string }): Promise<Body> => {
    const body = { graceMs: 10_000, idempotencyKey: randomUUID() }
    const { id } = await waitUntil(
      "the cascade is taken",
      async () => {
        const told = (await post(cluster.http, `apps/${appId}/cancel?cascade=true`, body)).body as Body
        return "id" in told && told
      },
      PATIENT
    )
    return await waitUntil(
      "the cascade is done",
      async () => {
        const told = (await rest(cluster.http, `cascades/${String(id)}?timeout=5`)).body as Body
        return told["state"] === "done" && told
      },
      PATIENT
    )
  }

  it.for(NAMES.map((name, index) => [name, index] as const))(
    "%s: not ready first, then nodes are sent away one by one, and what goes on goes on",
    async ([name, index]) => {
      const replica = cluster.replica(name)
      const nodes = Array.from({ length: WITNESSES }, () => rootOf(replica, { startDeadline: 0 }))
      witnesses.push(...nodes)
      const sentAway: Array<{ readonly at: number; readonly afterMs: number }> = []
      const wires = await Promise.all(nodes.map((node) => attach(replica, node)))
      for (const node of nodes) {
        node.onFrame = (frame) => {
          if (frame.type !== "error" || frame.code !== "going_away") return
          sentAway.push({ at: performance.now(), afterMs: frame.retry_after_ms! })
        }
      }
      const holders = await crowd.holders()
      const held = staying.filter(({ appId }) => holders.get(appId) === replica)
      reporting.takeGaps()

      const asked: Array<Promise<Body>> = held.map(commanded)
      const from = performance.now()
      const stopped = replica.stop()
      const cascade = cancelled(crowd.families[index]!.root)
      await waitUntil("it is not ready", async () => (await replica.trailsd.readyz()) === 503)
      const unreadyAt = performance.now()
      await waitUntil("the balancer has seen it", () => !cluster.balancer.ready.includes(name))
      const avoidedAt = performance.now()
      asked.push(...held.map(commanded))
      await waitUntil("nodes are sent away", () => sentAway.length === WITNESSES, PATIENT)
      asked.push(...held.map(commanded))
      for (const node of nodes) node.status({ said: "while it drains" })
      expect(await Promise.all(wires.map((wire) => wire.closed))).toEqual(
        nodes.map(() => ({ code: 1001, reason: "going_away" }))
      )
      await Promise.all(nodes.map(async (node) => await node.reRegister(await dial(cluster))))
      await stopped
      expect(await replica.trailsd.exited).toEqual({ code: 0, signal: null })
      const tookMs = Math.round(performance.now() - from)

      const first = Math.min(...sentAway.map(({ at }) => at))
      expect(unreadyAt).toBeLessThan(first)
      expect(avoidedAt).toBeLessThan(first)
      const delays = sentAway.map(({ afterMs }) => afterMs)
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(200)
      // Half a millisecond from one node to the next, in whole ones.
      expect(new Set(delays).size).toBeGreaterThanOrEqual(WITNESSES / 2)

      await waitUntil(
        "its nodes are at the others",
        async () => {
          const now = await crowd.holders()
          return held.every(({ appId }) => now.has(appId) && now.get(appId) !== replica)
        },
        PATIENT
      )
      expect((await Promise.all(asked)).map(({ ack }) => ack)).toEqual(asked.map(() => true))
      expect(await cascade).toMatchObject({ total: CHILDREN + 1, counts: { acked: CHILDREN + 1 } })
      const gaps = reporting.takeGaps()
      await cluster.restart(name)
      await waitUntil("the balancer finds it again", () => cluster.balancer.ready.includes(name))
      console.log(
        `${name}: ended after ${tookMs} ms; ${held.length} of ${staying.length} nodes moved; ` +
          `longest time of a node without an ack ${showSpread(gaps)} ms`
      )
    }
  )

  it("nothing acked is lost, every command ran once, and nobody was called dead", async () => {
    reporting[Symbol.dispose]()
    await fleet.stopProducing()
    const raw = [...fleet.all, ...witnesses]
    await waitUntil("everything sent is acked", () => raw.every((node) => node.inFlight === 0), PATIENT)
    expect(await Promise.all(staying.map((node) => node.shutdown({ timeoutMs: 20_000 })))).not.toContain(false)
    expect(runs.size).toBeGreaterThan(0)
    expect([...runs.values()].filter((times) => times !== 1)).toEqual([])
    const stored = await readPostgres(cluster.postgres.url)
    expect(describeViolations(check(raw, stored))).toBe("")
    expect(fleet.lostNodes).toEqual([])
    expect(stored.rows.filter(({ kind }) => VERDICTS.has(kind))).toEqual([])
    const reports = Map.groupBy(
      stored.rows.filter(({ kind }) => kind === "status"),
      ({ appId }) => appId
    )
    for (const node of staying) {
      const numbers = (reports.get(node.appId) ?? []).map(
        ({ frame }) => (JSON.parse(frame ?? "") as { readonly payload: { readonly report: number } }).payload.report
      )
      expect(numbers).toEqual(Array.from({ length: reporting.said(node) }, (_, number) => number))
    }
  })
})
