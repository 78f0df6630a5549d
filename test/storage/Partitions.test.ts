import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import pg from "pg"
import { afterAll, beforeAll, expect, it } from "vitest"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { Partitions } from "../../src/storage/Partitions.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, requestOf, statusWrite } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
const ensure = Effect.flatMap(Partitions, ({ ensure }) => ensure)
const partitionsOf = async (table: string) =>
  (
    await sql(
      storage,
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = '${table}'::regclass`
    )
  )
    .map(({ name }) => name as string)
    .filter((name) => !name.endsWith("_default"))
const dropAll = async () => {
  for (const name of [...(await partitionsOf("node_log")), ...(await partitionsOf("nodes"))])
    await sql(storage, `drop table ${name}`)
}
const whereabouts = (appId: string) =>
  sql(
    storage,
    `select tableoid::regclass::text like '%default' as stray, n from node_log where app_id = '${appId}' order by n`
  )

/** Ends when the making of partitions waits for who is writing into the table. */
const untilItWaitsFor = (table: string) =>
  waitUntil(
    "it waits for the writer",
    async () =>
      (await sql(storage, `select from pg_locks where not granted and relation = 'trails.${table}'::regclass`))
        .length === 1
  )
const logRow = (client: pg.Client, appId: string) =>
  client.query(
    `insert into node_log (app_id, n, day, epoch, incarnation, path_version, kind)
     values ($1, 1, trails.start_day(now()), 1, 1, 1, 'status')`,
    [appId]
  )

beforeAll(async () => {
  await sql(storage, "select")
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it("a start makes today and a week ahead, once", async () => {
  expect(await partitionsOf("node_log")).toHaveLength(8)
  expect((await partitionsOf("nodes")).length).toBeGreaterThanOrEqual(1)
  expect(await storage.runPromise(ensure)).toBe(0)
})

it("births and appends outside of any partition fall into the default one, and move when it is made", async () => {
  await dropAll()
  const store = await storage.runPromise(NodeStore)
  const born = await storage.runPromise(store.birth(requestOf(birthOf())))
  if (born._tag !== "Born") throw new Error(born._tag)
  const node = born.row
  await storage.runPromise(store.append(0, [statusWrite(node, 1)]))
  expect(await whereabouts(node.appId)).toEqual([
    { stray: true, n: 1 },
    { stray: true, n: 2 }
  ])
  const before = await storage.runPromise(store.follow(0, 10))
  await storage.runPromise(ensure)
  expect(await whereabouts(node.appId)).toEqual([
    { stray: false, n: 1 },
    { stray: false, n: 2 }
  ])
  expect(await storage.runPromise(store.follow(0, 10))).toEqual(before)
  expect((await storage.runPromise(store.read(node.appId)))?.appName).toBe("worker")
  expect(await storage.runPromise(store.append(0, [statusWrite({ ...node, n: 2 }, 2)]))).toEqual([
    { _tag: "Committed" }
  ])
})

it("a row that is being written into the default partition meanwhile is waited for, and moved", async () => {
  await dropAll()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const appId = randomUUID()
  await client.query("begin")
  await logRow(client, appId)
  const made = storage.runPromise(ensure)
  await untilItWaitsFor("node_log_default")
  await client.query("commit")
  await client.end()
  expect(await made).toBeGreaterThan(0)
  expect(await whereabouts(appId)).toEqual([{ stray: false, n: 1 }])
})

it("a birth that has written its facts and not yet its log is no deadlock", async () => {
  await dropAll()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const appId = randomUUID()
  await client.query("begin")
  await client.query(
    `insert into nodes (
       app_id, start_day, app_name, namespace, level, role_refs, grants, supervision, start_deadline, scheduled_at)
     values ($1, trails.start_day(now()), 'worker', 'default', 'open', '[]', '[]', '{}', 0, now())`,
    [appId]
  )
  const made = storage.runPromise(ensure)
  await untilItWaitsFor("nodes_default")
  await logRow(client, appId)
  await client.query("commit")
  await client.end()
  expect(await made).toBe(8 + (await partitionsOf("nodes")).length)
  expect(await whereabouts(appId)).toEqual([{ stray: false, n: 1 }])
})

it("ten calls side by side, while others write, make each partition once", async () => {
  const store = await storage.runPromise(NodeStore)
  await sql(storage, "truncate node_log, nodes, node_status, node_tree, node_incarnations")
  await dropAll()
  let ended = false
  const writing = storage.runPromise(
    Effect.gen(function* () {
      let born = 0
      while (!ended) {
        expect((yield* store.birth(requestOf(birthOf())))._tag).toBe("Born")
        born += 1
      }
      return born
    })
  )
  const made = await storage.runPromise(
    Effect.all(
      Array.from({ length: 10 }, () => ensure),
      { concurrency: "unbounded" }
    )
  )
  ended = true
  const born = await writing
  const partitions = [...(await partitionsOf("node_log")), ...(await partitionsOf("nodes"))]
  expect(made.reduce((sum, count) => sum + count)).toBe(partitions.length)
  expect(await partitionsOf("node_log")).toHaveLength(8)
  expect(
    await sql(storage, "select (select count(*) from node_log) as log, (select count(*) from nodes) as nodes")
  ).toEqual([{ log: born, nodes: born }])
})
