import { randomUUID } from "node:crypto"
import pg from "pg"
import { afterAll, beforeAll, expect, it } from "vitest"
import { CascadeStore } from "../../src/storage/CascadeStore.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { retryCascade } from "../../src/storage/sql/cascade/advance.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, cancelOf, requestOf } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
let nodes: NodeStore["Service"]
let cascades: CascadeStore["Service"]

beforeAll(async () => {
  nodes = await storage.runPromise(NodeStore)
  cascades = await storage.runPromise(CascadeStore)
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

const bear = async (parentId: string | null = null) => {
  const appId = randomUUID()
  await storage.runPromise(nodes.birth(requestOf(birthOf(), { appId, parentId })))
  return appId
}
const begin = async (appId: string) => {
  const id = randomUUID()
  await storage.runPromise(cascades.begin({ ...cancelOf(id, appId), action: "reload" }))
  return id
}
const advance = (id: string) => storage.runPromise(cascades.advance(id))
const read = async (id: string) => (await storage.runPromise(cascades.read(id)))!
const refuseAll = (id: string) =>
  sql(
    storage,
    `update control_queue set ack = false, answered_at = now() where operation = '${id}' and answered_at is null`
  )

it("a retry at the moment of the finish leaves no operation that is done and has nodes to be asked", async () => {
  const id = await begin(await bear())
  await advance(id)
  await refuseAll(id)
  // As far as a round that has not come to the finish yet.
  await sql(
    storage,
    `update cascade_nodes set state = 'resolved', outcome = 'refused', resolved_at = now() where operation = '${id}'`
  )
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query("begin")
  await client.query(retryCascade.text, [id])
  expect(await advance(id)).toMatchObject({ isFinished: true })
  await client.query("commit")
  await client.end()
  expect(await read(id)).toMatchObject({ counts: { pending: 0, refused: 1 } })
})

it("a retry in the middle asks no child again whose parent is being asked; at the end it does", async () => {
  const root = await bear()
  const child = await bear(root)
  const id = await begin(root)
  expect((await advance(id)).asked).toMatchObject([{ appId: child }])
  await refuseAll(id)
  expect((await advance(id)).asked).toMatchObject([{ appId: root }])
  await storage.runPromise(cascades.retry(id))
  expect((await advance(id)).asked).toEqual([])
  await refuseAll(id)
  expect(await advance(id)).toMatchObject({ isFinished: true })
  await storage.runPromise(cascades.retry(id))
  expect(await read(id)).toMatchObject({ finishedAt: null, levels: 2, counts: { pending: 2 } })
  expect((await advance(id)).asked).toMatchObject([{ appId: child }])
})
