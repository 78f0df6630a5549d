import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { NodeStore, type NodeWrite } from "../../src/storage/NodeStore.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, bornRow, hotState, requestOf, statusEntry, statusWrite } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: 1 }))
let store: NodeStore["Service"]
beforeAll(async () => {
  store = await storage.runPromise(NodeStore)
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

const bearMany = (count: number) =>
  storage.runPromise(
    Effect.forEach(Array.from({ length: count }), () => Effect.map(store.birth(requestOf(birthOf())), bornRow), {
      concurrency: 4
    })
  )

const poisons: ReadonlyArray<readonly [string, Partial<NodeWrite>]> = [
  ["bytes that are not base64", { rows: [{ ...statusEntry("x", 1), bytes: "*" }] }],
  ["a number beyond its column", { hot: hotState({ rebinds: 2 ** 40 }) }],
  ["a state that does not exist", { hot: hotState({ status: "asleep" as never }) }],
  ["an owner that is no UUID", { hot: hotState({ owner: "me" }) }]
]

describe("one poisonous row harms only itself", () => {
  it.for(poisons)("%s, among 31 good ones", async ([, patch]) => {
    const nodes = await bearMany(32)
    const bad = 13
    const outcomes = await storage.runPromise(
      store.append(
        0,
        nodes.map((node, index) => statusWrite(node, 1, index === bad ? patch : {}))
      )
    )
    expect(outcomes.map(({ _tag }) => _tag)).toEqual(
      nodes.map((_, index) => (index === bad ? "Poisoned" : "Committed"))
    )
    const rows = await sql(
      storage,
      `select app_id, n from node_status where app_id in (${nodes.map(({ appId }) => `'${appId}'`).join()})`
    )
    for (const { app_id: id, n } of rows) expect(n).toBe(id === nodes[bad]!.appId ? 1 : 2)
  })

  it("the refusal names the SQLSTATE and repeats no value", async () => {
    const [node] = await bearMany(1)
    const [outcome] = await storage.runPromise(
      store.append(0, [statusWrite(node!, 1, { hot: hotState({ owner: "hunter2" }) })])
    )
    expect(outcome).toMatchObject({ _tag: "Poisoned", message: expect.stringContaining("22P02") })
    expect(JSON.stringify(outcome)).not.toContain("hunter2")
  })

  it("what is not about the data is not poison: the batch fails as a whole and may be repeated", async () => {
    const nodes = await bearMany(4)
    const writes = nodes.map((node) => statusWrite(node, 1))
    await sql(storage, "alter table node_status rename to node_status_away")
    const error = await storage.runPromise(Effect.flip(store.append(0, writes)))
    expect(error).toMatchObject({ _tag: "StoreError", reason: "Refused", code: "42P01" })
    await sql(storage, "alter table node_status_away rename to node_status")
    const outcomes = await storage.runPromise(store.append(0, writes))
    expect(outcomes.every(({ _tag }) => _tag === "Committed")).toBe(true)
  })

  it("a payload that only Postgres refuses to project is stored without its projection", async () => {
    const nodes = await bearMany(3)
    const deep = "[".repeat(50_000) + "]".repeat(50_000)
    const outcomes = await storage.runPromise(
      store.append(
        0,
        nodes.map((node, index) =>
          statusWrite(node, 1, index === 1 ? { rows: [statusEntry(node.appId, 1, deep)] } : {})
        )
      )
    )
    expect(outcomes.map(({ _tag }) => _tag)).toEqual(["Committed", "Committed", "Committed"])
    const stored = await sql(
      storage,
      `select payload is null as bare, frame like '%[[[[%' as kept from node_log
      where app_id = '${nodes[1]!.appId}' and kind = 'status'`
    )
    expect(stored).toEqual([{ bare: true, kept: true }])
  })
})
