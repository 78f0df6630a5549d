import { Layer } from "effect"
import { afterAll } from "vitest"
import * as MemoryAuditLog from "../../src/storage/MemoryAuditLog.ts"
import * as MemoryReplicaStore from "../../src/storage/MemoryReplicaStore.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { leaseContract } from "./leaseContract.ts"
import { embedded, postgres } from "./openStorage.ts"

const database = await freshDatabase()
afterAll(() => database.drop())

leaseContract(
  "memory",
  Layer.mergeAll(MemoryReplicaStore.layer, MemoryAuditLog.layer).pipe(Layer.provide(MemoryTables.layer))
)
leaseContract("PGlite", embedded)
leaseContract("Postgres", postgres(database.url))
