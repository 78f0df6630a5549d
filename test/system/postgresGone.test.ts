import { describe, expect, it } from "vitest"
import { Postgres } from "../harness/Postgres.ts"
import { check, describeViolations } from "../harness/Checker.ts"
import { queryPostgres, readPostgres } from "../harness/StoredState.ts"
import type { RawNode } from "../harness/RawNode.ts"
import { attach, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const NODES = 20
/** Long enough for every grace and ping of the settings below to pass. */
const AWAY_MS = 12_000

const statusOf = async ({ url }: Postgres, { appId }: RawNode): Promise<unknown> =>
  (await queryPostgres(url, "SELECT status FROM node_status WHERE app_id = $1", [appId]))[0]?.status

const comeBackTo = (server: Trailsd) => (node: RawNode) =>
  waitUntil("a cut node is back", async () => await node.reRegister(await dial(server, { withinMs: 5000 })), {
    withinMs: 15_000,
    everyMs: 200
  })

type Step = (postgres: Postgres) => Promise<void> | void

/** Postgres is away for a while, in whatever way; everything must be as before within 15 s of its return. */
const outage = async (leave: Step, comeBack: Step): Promise<void> => {
  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await Postgres.create())
  const server = await Trailsd.start({
    databaseUrl: postgres.url,
    env: { TRAILS_PING_INTERVAL: "2", DISCONNECT_GRACE: "3s" }
  })
  stack.defer(() => server.dispose())
  const nodes = Array.from({ length: NODES }, (_, index) =>
    rootOf(server, { level: index % 2 === 0 ? "open" : "signed" })
  )
  const wires = await Promise.all(nodes.map((node) => attach(server, node)))
  for (const node of nodes) node.status({ phase: "before" })
  await waitUntil("the first messages are acked", () => nodes.every((node) => node.inFlight === 0))

  // The grace of the first runs out while nobody can judge; the second is cut when nothing can be written down.
  const [before, during] = nodes as [RawNode, RawNode]
  before.wire!.terminate()
  await waitUntil("the loss of a socket is stored", async () => (await statusOf(postgres, before)) === "reconnecting")
  await leave(postgres)
  const left = performance.now()
  for (const node of nodes) for (let i = 0; i < 20; i++) node.status({ phase: "away", i })
  await waitUntil("/readyz fails within 5 s", async () => (await server.readyz()) === 503, { withinMs: 5000 })
  during.wire!.terminate()
  await waitUntil("the outage has lasted", () => performance.now() - left >= AWAY_MS, { withinMs: AWAY_MS * 2 })
  expect(wires.slice(2).filter((wire) => !wire.isOpen)).toEqual([])
  expect(nodes.every((node) => node.inFlight >= 20)).toBe(true)
  await comeBack(postgres)
  const back = performance.now()
  await waitUntil("the server has had time to judge", () => performance.now() - back > 1000)
  await Promise.all([before, during].map(comeBackTo(server)))
  await waitUntil("everything is acked within 15 s", () => nodes.every((node) => node.inFlight === 0), {
    withinMs: 15_000
  })
  await waitUntil("/readyz is well again", async () => (await server.readyz()) === 200, { withinMs: 15_000 })
  expect(performance.now() - back).toBeLessThanOrEqual(15_000)
  const stored = await readPostgres(postgres.url)
  expect(describeViolations(check(nodes, stored))).toBe("")
  expect(stored.rows.filter((row) => row.kind === "crash" || row.kind === "lost_contact")).toEqual([])
  expect([...stored.nodes.values()].map((node) => node.status)).toEqual(nodes.map(() => "running"))
}

// Beside each other, each with a server and a Postgres of its own: most of it is waiting.
describe.concurrent("while Postgres is away sessions stay and nobody is declared dead (P8, P17, P20)", () => {
  it("killed with -9", () =>
    outage(
      (postgres) => postgres.kill(),
      (postgres) => postgres.start()
    ))
  it("stopped in order", () =>
    outage(
      (postgres) => postgres.stop(),
      (postgres) => postgres.start()
    ))
  it("frozen: connections open, no answers", () =>
    outage(
      (postgres) => postgres.freeze(),
      (postgres) => postgres.thaw()
    ))
})
