import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { listApps, newestRoots } from "../../src/storage/sql/apps.ts"
import { treeView } from "../../src/storage/sql/treeView.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"

// A root with 10,000 children, each of every tenth with a child of its own, beside 5000 other roots.
const ROOT = randomUUID()
const CHILDREN = 10_000
const DEEPER = CHILDREN / 10
const LIMIT = 100

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))

const onLane = async (text: string) => {
  const { lanes } = await storage.runPromise(Database)
  return storage.runPromise(lanes[0]!.query({ name: "", text }, []))
}

interface Plan {
  readonly "Relation Name"?: string
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<Plan>
}

const scansOf = (plan: Plan): ReadonlyArray<Plan> => [
  ...("Relation Name" in plan ? [plan] : []),
  ...(plan.Plans ?? []).flatMap(scansOf)
]

/** Rows that a statement looked at, by table. */
const visited = async (execute: string) => {
  const [row] = await onLane(`explain (analyze, format json) execute ${execute}`)
  const [{ Plan: plan }] = row!["QUERY PLAN"] as [{ Plan: Plan }]
  const rows: Record<string, number> = {}
  for (const scan of scansOf(plan)) {
    const table = scan["Relation Name"]!.replace(/_(?:\d+|default)$/, "")
    const seen = (scan["Actual Rows"] + (scan["Rows Removed by Filter"] ?? 0)) * scan["Actual Loops"]
    rows[table] = (rows[table] ?? 0) + seen
  }
  return rows
}

beforeAll(async () => {
  await sql(storage, "select 1")
  await onLane(`prepare tree(uuid, int4, int4) as ${treeView.text};
    prepare list(text, text, uuid, boolean, text, uuid, int4, uuid, uuid) as ${listApps.text};
    prepare newest(text, text, text, uuid, int4, uuid, uuid) as ${newestRoots.text}`)
  // Planned while the tables are empty, as after a first start.
  for (let i = 0; i < 7; i++) {
    await onLane(`execute tree('${ROOT}', 64, ${LIMIT})`)
    await onLane("execute list(null, null, null, false, null, null, 10, null, null)")
    await onLane("execute newest(null, null, null, null, 10, null, null)")
  }
  await sql(
    storage,
    `
    create temporary table made as
      select gen_random_uuid() as id, i from generate_series(1, ${CHILDREN + DEEPER + 5000}) i;
    insert into node_tree (app_id, parent_id, root_id, path, valid_from)
      select '${ROOT}'::uuid, null::uuid, '${ROOT}'::uuid, array['${ROOT}'::uuid], now() - interval '1 day'
      union all
      select id, '${ROOT}', '${ROOT}', array['${ROOT}'::uuid, id], now() - interval '1 day' + i * interval '1 ms'
      from made where i <= ${CHILDREN}
      union all
      select d.id, p.id, '${ROOT}', array['${ROOT}'::uuid, p.id, d.id], now()
      from made d join made p on p.i = 10 * (d.i - ${CHILDREN}) where d.i > ${CHILDREN} and d.i <= ${CHILDREN + DEEPER}
      union all
      select id, null, id, array[id], now() + i * interval '1 ms' from made where i > ${CHILDREN + DEEPER};
    insert into node_status (app_id, start_day, epoch, n, write_id, status, incarnation, last_seq, rebinds)
      select app_id, trails.start_day(now()), 1, 1, gen_random_uuid(), 'running', 1, 0, 0 from node_tree;
    insert into nodes (app_id, start_day, parent_id, app_name, namespace, level, role_refs, grants, supervision,
        start_deadline, scheduled_at)
      select app_id, trails.start_day(now()), parent_id, 'x', 'default', 'open', '[]', '[]', '{}', 0, now()
      from node_tree;
    analyze`
  )
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it("a tree is read as far as it is shown, and counted where it is cut", async () => {
  const rows = await visited(`tree('${ROOT}', 64, ${LIMIT})`)
  expect(rows["node_status"]).toBe(LIMIT)
  expect(rows["nodes"]).toBe(LIMIT)
  // The count is the only scan: over the tree's own nodes.
  const counted = 1 + CHILDREN + DEEPER
  expect(rows["node_tree"]).toBeGreaterThanOrEqual(counted)
  expect(rows["node_tree"]).toBeLessThanOrEqual(counted + 5 * LIMIT)
})

it("the walk goes down and up again in order, of 11,001 nodes", async () => {
  const shown = await onLane(`execute tree('${ROOT}', 64, 25)`)
  // 10 children, the child of the tenth, 10 children, the child of the twentieth, …
  expect(shown.map((row) => row["depth"])).toEqual([0, ...Array(10).fill(1), 2, ...Array(10).fill(1), 2, 1, 1])
  expect(shown[0]!["total"]).toBe(1 + CHILDREN + DEEPER)
})

it("nodes by the beginning of their ids: a range of the key, whenever the plan was made", async () => {
  const rows = await visited(
    `list(null, null, null, false, null, null, 10, '${"0000".padEnd(32, "0")}', '${"0000".padEnd(32, "f")}')`
  )
  expect(rows["node_status"]).toBeLessThanOrEqual(10)
})

it("the newest roots: no more than are shown", async () => {
  const rows = await visited("newest(null, null, null, null, 10, null, null)")
  expect(rows["node_tree"]).toBeLessThanOrEqual(21)
  const page = await onLane("execute newest(null, null, null, null, 10, null, null)")
  const later = await visited(`newest(null, null, null, '${page.at(-1)!["app_id"] as string}', 10, null, null)`)
  expect(later["node_tree"]).toBeLessThanOrEqual(40)
})
