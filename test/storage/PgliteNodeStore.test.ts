import { afterAll } from "vitest"
import { nodeStoreContract } from "./nodeStoreContract.ts"
import { embedded, openStorage, sealOn, shared } from "./openStorage.ts"

const storage = openStorage(embedded)
afterAll(() => storage.dispose())

nodeStoreContract("PGlite", async () => ({ layer: shared(storage), seal: sealOn(storage) }))
