import { Effect } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { NodeQueries } from "../../src/storage/NodeQueries.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, bornRow, identity, logEntry, requestOf, statusEntry, statusWrite } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
let store: NodeStore["Service"]
let queries: NodeQueries["Service"]
let parent: string
let child: string
const bear = async (parentId: string | null, patch: Parameters<typeof birthOf>[0] = {}) => {
  return bornRow(await storage.runPromise(store.birth(requestOf(birthOf(patch), { parentId })))).appId
}
beforeAll(async () => {
  store = await storage.runPromise(NodeStore)
  queries = await storage.runPromise(NodeQueries)
  parent = await bear(null)
  child = await bear(parent, { appName: "child" })
  const payload = `{"done":0.5}`
  await storage.runPromise(
    store.append(0, [
      statusWrite({ appId: child, epoch: 1, n: 1 }, 1, {
        rows: [
          statusEntry(child, 1, payload),
          logEntry({ kind: "result", seq: 2, frame: "{}", payload: "1", bytes: "AAE=" }),
          logEntry({ kind: "result", seq: 3, frame: "{}", data: { disconnect: "done" } }),
          logEntry({ kind: "crash", data: { crash_type: "heartbeat_timeout", gap_seconds: 61.5 } })
        ]
      })
    ])
  )
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

// PROTOCOL §12, word for word.
const interfaces: Readonly<Record<string, string>> = {
  apps: "app_id, parent_id, app_name, namespace, pod_namespace, pod_name, node_name, pod_ip, pid, ppid, executable, proc_uid, proc_gid, proc_user, originator_sub, originator_groups, pub_key, status, start_time, connected_at, disconnected_at, server_instance, role_refs, metadata_json, start_deadline, start_day, created_at, updated_at",
  messages: "id, app_id, direction, msg_type, seq, correlation_id, payload_json, payload_bytes, created_at",
  snapshots: "id, app_id, namespace, seq, snapshot_json, created_at",
  crashes: "id, app_id, detected_at, crash_type, gap_seconds, metadata_json"
}

it.for(Object.entries(interfaces))("the view %s has the columns of the protocol", async ([name, columns]) => {
  const found = await sql(
    storage,
    `select column_name from information_schema.columns where table_schema = 'public'
    and table_name = '${name}' order by ordinal_position`
  )
  expect(found.map(({ column_name: column }) => column).join(", ")).toBe(columns)
})

it("control_queue and audit_log answer too", async () => {
  expect(await sql(storage, "select * from control_queue")).toEqual([])
  expect(await sql(storage, "select * from audit_log")).toEqual([])
})

it("messages leave a disconnect out; snapshots and crashes show theirs", async () => {
  expect(
    await sql(storage, "select msg_type, direction, seq, payload_json, payload_bytes from messages order by id")
  ).toEqual([
    { msg_type: "Status", direction: "in", seq: 1, payload_json: { done: 0.5 }, payload_bytes: null },
    { msg_type: "Result", direction: "in", seq: 2, payload_json: 1, payload_bytes: "\\x0001" }
  ])
  expect(await sql(storage, "select app_id, namespace, seq, snapshot_json from snapshots")).toEqual([
    { app_id: child, namespace: "etl", seq: 1, snapshot_json: { done: 0.5 } }
  ])
  expect(await sql(storage, "select app_id, crash_type, gap_seconds from crashes")).toEqual([
    { app_id: child, crash_type: "heartbeat_timeout", gap_seconds: 61.5 }
  ])
})

it("self-reported nonsense in process_info breaks no view", async () => {
  const strange = { ...identity().processInfo, pid: "7" as never, uid: 1e300, start_time: 1.5, hostname: null as never }
  const appId = await bear(null, { identity: identity({ processInfo: strange }) })
  expect(await storage.runPromise(queries.app(appId))).toMatchObject({
    pid: null,
    proc_uid: null,
    start_time: 1,
    pod_name: null
  })
})

it("apps by filter and page", async () => {
  const all = await storage.runPromise(queries.apps({}, { limit: 1000, after: null }))
  expect(all.map((row) => row["app_id"])).toEqual([...all.map((row) => row["app_id"] as string)].sort())
  const rest = await storage.runPromise(queries.apps({}, { limit: 1000, after: all[0]!["app_id"] as string }))
  expect(rest).toHaveLength(all.length - 1)
  const ids = async (filter: Parameters<typeof queries.apps>[0]) =>
    (await storage.runPromise(queries.apps(filter, { limit: 10, after: null }))).map((row) => row["app_id"])
  expect(await ids({ parentId: parent })).toEqual([child])
  expect(await ids({ name: "child", status: "running", namespace: "etl" })).toEqual([child])
  expect(await ids({ status: "done" })).toEqual([])
  expect(await ids({ roots: true })).not.toContain(child)
  expect(await ids({ roots: true })).toContain(parent)
  expect(await storage.runPromise(queries.app("00000000-0000-4000-8000-000000000000"))).toBeNull()
})

it("apps by the beginning of their ids", async () => {
  const name = "prefixed"
  const digits = (end: string) => `feed0123-4567-4000-8000-${end.padStart(12, "0")}`
  for (const id of ["1", "2", "ff"]) {
    await storage.runPromise(store.birth(requestOf(birthOf({ appName: name }), { appId: digits(id) })))
  }
  const ids = async (filter: Parameters<typeof queries.apps>[0]) =>
    (await storage.runPromise(queries.apps(filter, { limit: 10, after: null }))).map((row) => row["app_id"])
  const hex = (id: string) => digits(id).replaceAll("-", "")
  expect(await ids({ prefix: "feed01234" })).toEqual([digits("1"), digits("2"), digits("ff")])
  expect(await ids({ prefix: hex("ff").slice(0, 31) })).toEqual([digits("ff")])
  expect(await ids({ prefix: hex("2"), name })).toEqual([digits("2")])
  expect(await ids({ prefix: hex("2"), name: "another" })).toEqual([])
  expect(await ids({ prefix: "feed01235" })).toEqual([])
  expect(await ids({ prefix: "feed01234", roots: true, newest: true })).toEqual([
    digits("ff"),
    digits("2"),
    digits("1")
  ])
})

it("roots, newest first, by page and filter", async () => {
  const [first, second, third] = [
    await bear(null, { appName: "n" }),
    await bear(null, { appName: "n" }),
    await bear(null)
  ]
  const newest = async (filter: Parameters<typeof queries.apps>[0], limit: number, after: string | null = null) =>
    (await storage.runPromise(queries.apps({ ...filter, roots: true, newest: true }, { limit, after }))).map(
      (row) => row["app_id"]
    )
  expect(await newest({}, 2)).toEqual([third, second])
  expect(await newest({}, 1, second)).toEqual([first])
  expect(await newest({ name: "n" }, 10)).toEqual([second, first])
  expect(await newest({ name: "n", status: "done" }, 10)).toEqual([])
  const all = await newest({}, 1000)
  expect(all).toContain(parent)
  expect(all).not.toContain(child)
})

it("what a node was born with", async () => {
  const appId = await bear(null, { envelope: '{"v":1}' })
  expect(await storage.runPromise(queries.birth(appId))).toEqual({ envelope: '{"v":1}', status: "connected" })
  expect(await storage.runPromise(queries.birth("00000000-0000-4000-8000-000000000000"))).toBeNull()
})

it("children, log and crashes by page", async () => {
  const page = { limit: 10, after: null }
  expect((await storage.runPromise(queries.children(parent, page))).map((row) => row["app_id"])).toEqual([child])
  const log = await storage.runPromise(
    Effect.map(queries.log(child, 1, 2), (rows) => rows.map(({ kind, n }) => [n, kind]))
  )
  expect(log).toEqual([
    [2, "status"],
    [3, "result"]
  ])
  const [crash] = await storage.runPromise(queries.crashes(page))
  expect(crash).toMatchObject({ app_id: child })
  expect(await storage.runPromise(queries.crashes({ limit: 10, after: String(crash!["id"]) }))).toEqual([])
})

it("audit_log takes INSERT only", async () => {
  await sql(storage, "insert into audit_log (actor, action, decision, reason) values ('admin', 'x', 'allow', 'r')")
  for (const change of ["update audit_log set reason = 'y'", "delete from audit_log", "truncate audit_log"]) {
    await expect(sql(storage, change)).rejects.toMatchObject({ message: expect.stringContaining("42501") })
  }
})
