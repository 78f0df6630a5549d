import { Effect, Layer } from "effect"
import type { AuditLog } from "./AuditLog.ts"
import type { Database } from "./Database.ts"
import { migrate, type MigrationError } from "./Migrator.ts"
import type { CascadeStore } from "./CascadeStore.ts"
import type { CommandStore } from "./CommandStore.ts"
import type { KeyDirectory } from "./KeyDirectory.ts"
import type { NodeQueries } from "./NodeQueries.ts"
import type { NodeStore } from "./NodeStore.ts"
import { Partitions } from "./Partitions.ts"
import * as PgAuditLog from "./PgAuditLog.ts"
import * as PgCascadeStore from "./PgCascadeStore.ts"
import * as PgCommandStore from "./PgCommandStore.ts"
import * as PgKeyDirectory from "./PgKeyDirectory.ts"
import * as PgNodeQueries from "./PgNodeQueries.ts"
import * as PgNodeStore from "./PgNodeStore.ts"
import * as PgReplicaStore from "./PgReplicaStore.ts"
import * as PgTreeLog from "./PgTreeLog.ts"
import * as PgTreeQueries from "./PgTreeQueries.ts"
import type { ReplicaStore } from "./ReplicaStore.ts"
import type { StoreError } from "./StoreError.ts"
import type { TreeLog } from "./TreeLog.ts"
import type { TreeQueries } from "./TreeQueries.ts"

export type Stores =
  | CascadeStore
  | CommandStore
  | KeyDirectory
  | NodeStore
  | NodeQueries
  | TreeLog
  | TreeQueries
  | ReplicaStore
  | AuditLog
  | Partitions

const prepared = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* migrate()
    yield* (yield* Partitions).ensure
  })
)

/** All stores over a database whose tables are up to date and whose partitions are made before anybody gets a store. */
export const layer: Layer.Layer<Stores, StoreError | MigrationError, Database> = prepared.pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      PgCascadeStore.layer,
      PgCommandStore.layer,
      PgKeyDirectory.layer,
      PgNodeStore.layer,
      PgNodeQueries.layer,
      PgTreeLog.layer,
      PgTreeQueries.layer,
      PgReplicaStore.layer,
      PgAuditLog.layer,
      Partitions.layer
    )
  )
)
