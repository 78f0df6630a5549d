import { randomUUID } from "node:crypto"
import { afterAll, beforeAll, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { followChildren, followSubtree } from "../../src/storage/sql/followTree.ts"
import { logHead } from "../../src/storage/sql/logHead.ts"
import { stirred } from "../../src/storage/sql/stirred.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"

// A quiet parent with 3 children and 30 rows among 300,000, of which a busy parent's children have most.
const QUIET = randomUUID()
const BUSY = randomUUID()
const ROOT = randomUUID()
const CHILDREN = 3
const ROWS = 300_000

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))

const onLane = async (text: string) => {
  const { lanes } = await storage.runPromise(Database)
  return storage.runPromise(lanes[0]!.query({ name: "", text }, []))
}

interface Plan {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Index Name"?: string
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<Plan>
}

const scansOf = (plan: Plan): ReadonlyArray<Plan> => [
  ...("Relation Name" in plan ? [plan] : []),
  ...(plan.Plans ?? []).flatMap(scansOf)
]

/** Rows of log and tree that a statement looked at, and its plan as text. */
const visited = async (execute: string) => {
  const [row] = await onLane(`explain (analyze, format json) execute ${execute}`)
  const [{ Plan: plan }] = row!["QUERY PLAN"] as [{ Plan: Plan }]
  const scans = scansOf(plan).filter((scan) => /^node_(log|tree)/.test(scan["Relation Name"]!))
  return {
    rows: scans.reduce(
      (sum, scan) => sum + (scan["Actual Rows"] + (scan["Rows Removed by Filter"] ?? 0)) * scan["Actual Loops"],
      0
    ),
    plan: JSON.stringify(plan)
  }
}

const node = (id: string, parent: string | null, path: string) => `
  insert into node_status (app_id, start_day, epoch, n, write_id, status, incarnation, last_seq, rebinds)
  values ('${id}', trails.start_day(now()), 1, 1, gen_random_uuid(), 'running', 1, 0, 0);
  insert into nodes (app_id, start_day, parent_id, app_name, namespace, level, role_refs, grants, supervision,
    start_deadline, scheduled_at)
  values ('${id}', trails.start_day(now()), ${parent === null ? "null" : `'${parent}'`}, 'x', 'default', 'open', '[]', '[]',
    '{}', 0, now());
  insert into node_tree (app_id, parent_id, root_id, path)
  values ('${id}', ${parent === null ? "null" : `'${parent}'`}, '${ROOT}', array[${path}]::uuid[]);`

beforeAll(async () => {
  await sql(storage, "select 1")
  await onLane(`prepare children(uuid, int8, int4) as ${followChildren.text};
    prepare subtree(uuid, int8, int4) as ${followSubtree.text};
    prepare head as ${logHead.text};
    prepare stirred(jsonb, int8, int8) as ${stirred.text}`)
  // Planned while the tables are empty, as after a first start.
  for (const name of ["children", "subtree"])
    for (let i = 0; i < 7; i++) await onLane(`execute ${name}('${QUIET}', 0, 100)`)
  for (let i = 0; i < 7; i++) await onLane("execute stirred('[]', 0, 1)")
  const kids = (parent: string) =>
    Array.from({ length: CHILDREN }, () => {
      const id = randomUUID()
      return { id, sql: node(id, parent, `'${ROOT}', '${parent}', '${id}'`) }
    })
  const quiet = kids(QUIET)
  const busy = kids(BUSY)
  const list = (nodes: ReadonlyArray<{ readonly id: string }>) => nodes.map(({ id }) => `'${id}'`).join(", ")
  await sql(
    storage,
    `${node(ROOT, null, `'${ROOT}'`)} ${node(QUIET, ROOT, `'${ROOT}', '${QUIET}'`)}
    ${node(BUSY, ROOT, `'${ROOT}', '${BUSY}'`)} ${[...quiet, ...busy].map((one) => one.sql).join("\n")}
    insert into node_log (app_id, parent_id, n, day, epoch, incarnation, path_version, kind)
    select
      case when i % ${ROWS / 30} = 0 then (array[${list(quiet)}]::uuid[])[1 + i / ${ROWS / 30} % ${CHILDREN}]
        else (array[${list(busy)}]::uuid[])[1 + i % ${CHILDREN}] end,
      case when i % ${ROWS / 30} = 0 then '${QUIET}'::uuid else '${BUSY}'::uuid end,
      i, trails.start_day(now()), 1, 1, 1, 'status'
    from generate_series(1, ${ROWS}) i;
    insert into node_tree (app_id, root_id, path)
    select id, id, array[id] from (select gen_random_uuid() as id from generate_series(1, 20000)) other`
  )
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

const QUIET_ROWS = 30

it.for(["children", "subtree"])(
  "%s of a parent with few reads its children's rows alone, whatever else happens",
  async (scope) => {
    // Once by a plan that was made on empty tables, once by one that knows how busy the others are.
    for (let analysed = 0; analysed < 2; analysed++) {
      const all = await visited(`${scope}('${QUIET}', 0, 100)`)
      expect(all.plan).toContain("parent_id_id_idx")
      expect(all.rows).toBeLessThanOrEqual(4 * QUIET_ROWS)
      const none = await visited(`${scope}('${QUIET}', ${ROWS}, 100)`)
      expect(none.rows).toBeLessThanOrEqual(2 * CHILDREN)
      await sql(storage, "analyze")
    }
  }
)

it("the sweep's look at the log reads what is new, and one probe of each partition for the head", async () => {
  for (let analysed = 0; analysed < 2; analysed++) {
    expect((await visited("head")).rows).toBeLessThanOrEqual(10)
    const news = await visited(`stirred('["${QUIET}", "${ROOT}"]', ${ROWS - 500}, ${ROWS})`)
    expect(news.rows).toBeGreaterThanOrEqual(500)
    expect(news.rows).toBeLessThanOrEqual(600)
    await sql(storage, "analyze")
  }
})
