import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { append, appendBinding } from "../../src/storage/sql/append.ts"
import { dueNodes } from "../../src/storage/sql/dueNodes.ts"
import { sealedBy } from "../../src/storage/sql/sealedBy.ts"
import { readNodes } from "../../src/storage/sql/readNodes.ts"
import { orphanedNodes } from "../../src/storage/sql/orphanedNodes.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, hotState, requestOf, statusWrite } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))
const onLane = async (text: string) => {
  const { lanes } = await storage.runPromise(Database)
  return storage.runPromise(lanes[0]!.query({ name: "", text }, []))
}
const planOf = async (name: string, args: string) =>
  (await onLane(`explain execute ${name}(${args})`)).map((row) => row["QUERY PLAN"]).join("\n")

let store: NodeStore["Service"]
beforeAll(async () => {
  store = await storage.runPromise(NodeStore)
  // Planned while the tables are small and known to be, as soon after a first start.
  const { lanes } = await storage.runPromise(Database)
  await storage.runPromise(store.birth(requestOf(birthOf())))
  await sql(storage, "analyze")
  const nobody = randomUUID()
  for (let i = 0; i < 7; i++) await storage.runPromise(lanes[0]!.query(readNodes, [nobody, nobody, null]))
  for (let i = 0; i < 7; i++) await storage.runPromise(lanes[0]!.query(sealedBy, [nobody]))
  await onLane(`prepare plain(text) as ${append.text}; prepare binding(text) as ${appendBinding.text}`)
  for (let i = 0; i < 7; i++) await onLane("execute plain('[]')")
  await sql(
    storage,
    `
    insert into node_status (app_id, start_day, epoch, n, write_id, status, incarnation, last_seq, rebinds, owner, state_deadline_at)
    select gen_random_uuid(), 690, 1, 1, gen_random_uuid(), 'running', 1, 0, 0, '00000000-0000-4000-8000-000000000001',
      now() + interval '1 day'
    from generate_series(1, 100000);
    insert into replicas (boot, instance, version, expires_at)
    values ('00000000-0000-4000-8000-000000000001', 'i', '0', now() + interval '1 day')`
  )
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it.for(["plain", "binding"])(
  "the append's plan (%s) probes the key of node_status and never scans it, even when it was made on a small table",
  async (name) => {
    for (let analysed = 0; analysed < 2; analysed++) {
      const plan = await planOf(name, "'[]'")
      expect(plan).toMatch(/Index Scan using node_status_pkey on node_status s.*\n *Index Cond/)
      expect(plan).not.toMatch(/Seq Scan on node_(status|log|incarnations)/)
      await sql(storage, "analyze node_status")
    }
  }
)

it.for([
  ["node.read", `'${randomUUID()}', '${randomUUID()}', null`],
  ["birth.sealed", `'${randomUUID()}'`]
])("%s probes keys, also by a plan that was made on small tables", async ([name, args]) => {
  const plan = await planOf(`"${name}"`, args!)
  expect(plan).not.toMatch(/Seq Scan|Hash Join|Merge Join/)
  // Each scan has its condition.
  expect(plan.match(/Index (Only )?Scan|Bitmap Index Scan/g)!.length).toBeLessThanOrEqual(
    plan.match(/Index Cond/g)!.length
  )
})

it("finding due and orphaned nodes among 100,000 touches an index only", async () => {
  await sql(storage, "analyze node_status")
  await onLane(`prepare due(int4, text, float8) as ${dueNodes.text}; prepare orphaned(int4) as ${orphanedNodes.text}`)
  expect(await planOf("due", "100, null, null")).toMatch(/Index Scan using node_status_due/)
  const orphaned = await onLane("explain (analyze, format json) execute orphaned(100)")
  const plan = JSON.stringify(orphaned)
  expect(plan).toContain("node_status_owner")
  expect(plan).not.toContain('Seq Scan","Relation Name":"node_status')
  // Probes by owner: 100,000 nodes of a living replica are not visited.
  const rows = [...plan.matchAll(/"Relation Name":"node_status".*?"Actual Rows":(\d+)/g)].map(([, count]) =>
    Number(count)
  )
  expect(Math.max(...rows)).toBeLessThanOrEqual(1)
})

it("a Status is a HOT update of node_status", async () => {
  const born = await storage.runPromise(store.birth(requestOf(birthOf({ hot: hotState({ status: "running" }) }))))
  if (born._tag !== "Born") throw new Error(born._tag)
  const count = async () =>
    (
      await sql(
        storage,
        "select n_tup_upd::int as all, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'node_status'"
      )
    )[0] as { all: number; hot: number }
  const before = await count()
  const updates = 300
  await storage.runPromise(
    Effect.forEach(
      Array.from({ length: updates }, (_, index) => index + 1),
      (n) => store.append(0, [statusWrite({ ...born.row, n }, n)])
    )
  )
  await onLane("select pg_stat_force_next_flush()")
  await waitUntil("the statistics have the updates", async () => (await count()).all - before.all >= updates)
  const after = await count()
  expect((after.hot - before.hot) / (after.all - before.all)).toBeGreaterThan(0.9)
})
