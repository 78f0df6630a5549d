import { afterAll } from "vitest"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { nodeStoreContract } from "./nodeStoreContract.ts"
import { openStorage, postgres, sealOn, shared } from "./openStorage.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

nodeStoreContract("Postgres", async () => ({ layer: shared(storage), seal: sealOn(storage) }))
