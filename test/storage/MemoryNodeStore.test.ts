import { Context, Effect, Layer } from "effect"
import * as MemoryNodeStore from "../../src/storage/MemoryNodeStore.ts"
import * as MemoryReplicaStore from "../../src/storage/MemoryReplicaStore.ts"
import * as MemoryTreeLog from "../../src/storage/MemoryTreeLog.ts"
import * as MemoryTreeQueries from "../../src/storage/MemoryTreeQueries.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import { nodeStoreContract } from "./nodeStoreContract.ts"

nodeStoreContract("memory", async () => {
  const tables = Context.get(await Effect.runPromise(Effect.scoped(Layer.build(MemoryTables.layer))), MemoryTables)
  return {
    layer: Layer.mergeAll(
      MemoryNodeStore.layer,
      MemoryTreeLog.layer,
      MemoryTreeQueries.layer,
      MemoryReplicaStore.layer
    ).pipe(Layer.provide(Layer.succeed(MemoryTables, tables))),
    seal: async (appId) => void tables.seals.add(appId)
  }
})
