import { randomUUID } from "node:crypto"
import { afterAll, expect, it } from "vitest"
import { KeyDirectory } from "../../src/storage/KeyDirectory.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, identity, requestOf } from "./rows.ts"

/** Nodes of one key: more than anybody looks through. */
const HOLDERS = 150
const [SHARED, OTHER] = ["ed25519:shared", "ed25519:other"]

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))

afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it("a key reaches each node to which it is bound, and those below it, however many have it", async () => {
  const nodes = await storage.runPromise(NodeStore)
  const directory = await storage.runPromise(KeyDirectory)
  const bear = async (pubKey: string, parentId: string | null = null): Promise<string> => {
    const appId = randomUUID()
    await storage.runPromise(nodes.birth(requestOf(birthOf({ identity: identity({ pubKey }) }), { appId, parentId })))
    return appId
  }
  const nearest = (key: string, appId: string) => storage.runPromise(directory.nearest(key, appId))
  const roots: Array<string> = []
  for (let count = 0; count < HOLDERS; count++) roots.push(await bear(SHARED))
  for (const root of roots) expect(await nearest(SHARED, root)).toBe(root)

  const root = roots.at(-1)!
  const child = await bear(OTHER, root)
  const grandchild = await bear(SHARED, child)
  expect(await nearest(SHARED, child)).toBe(root)
  expect(await nearest(SHARED, grandchild)).toBe(grandchild)
  expect(await nearest(OTHER, grandchild)).toBe(child)
  expect(await nearest(OTHER, root)).toBeNull()
  expect(await nearest("ed25519:nobody", child)).toBeNull()
  expect(await nearest(SHARED, randomUUID())).toBeNull()
  expect(roots.concat(grandchild)).toContain(await storage.runPromise(directory.holder(SHARED)))

  await sql(storage, `update node_incarnations set valid_to = now() where app_id = '${root}'`)
  expect(await nearest(SHARED, child)).toBeNull()
})
