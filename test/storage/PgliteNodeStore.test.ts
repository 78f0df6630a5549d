import { afterAll } from "vitest"
import { nodeStoreContract } from "./nodeStoreContract.ts"
import { openStorage, pglite, sealOn, shared } from "./openStorage.ts"

const storage = openStorage(pglite())
afterAll(() => storage.dispose())

nodeStoreContract("PGlite", async () => ({ layer: shared(storage), seal: sealOn(storage) }))
