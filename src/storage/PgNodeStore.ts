import { Effect, Layer } from "effect"
import { Database, type Row } from "./Database.ts"
import type { LogRow } from "./LogRow.ts"
import type { NodeRow } from "./NodeRow.ts"
import { type BoundKey, type DueNode, NodeStore, type StoredFrame } from "./NodeStore.ts"
import { appendBatch } from "./PgAppend.ts"
import { birth } from "./PgBirth.ts"
import { boundKeys } from "./sql/boundKeys.ts"
import { dueNodes } from "./sql/dueNodes.ts"
import { orphanedNodes } from "./sql/orphanedNodes.ts"
import { followLog } from "./sql/readLog.ts"
import { ownedNodes } from "./sql/ownedNodes.ts"
import { readNodes } from "./sql/readNodes.ts"
import { storedFrames } from "./sql/storedFrames.ts"
import { StoreError } from "./StoreError.ts"

// The statements name their columns as the types do.
const as = <A>(rows: ReadonlyArray<Row>): ReadonlyArray<A> => rows as ReadonlyArray<unknown> as ReadonlyArray<A>

/** `NodeStore` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<NodeStore, never, Database> = Layer.effect(
  NodeStore,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      lanes: database.lanes.length,
      append: (lane, writes) => {
        const connection = database.lanes[lane]
        return connection === undefined
          ? Effect.fail(new StoreError({ reason: "Refused", operation: "append", message: `there is no lane ${lane}` }))
          : appendBatch(connection, writes)
      },
      birth: (request) => birth(database, request),
      read: (appId) =>
        Effect.map(database.query(readNodes, [appId, null, null]), (rows) => as<NodeRow>(rows)[0] ?? null),
      storedFrames: (appId, incarnation, seqs) =>
        Effect.map(database.query(storedFrames, [appId, incarnation, JSON.stringify(seqs)]), (rows) =>
          as<StoredFrame>(rows)
        ),
      follow: (after, limit) => Effect.map(database.query(followLog, [after, limit]), (rows) => as<LogRow>(rows)),
      keys: (appId) => Effect.map(database.query(boundKeys, [appId]), (rows) => as<BoundKey>(rows)),
      due: (limit, filter) =>
        Effect.map(database.query(dueNodes, [limit, filter?.status ?? null, filter?.withinMs ?? null]), (rows) =>
          as<DueNode>(rows)
        ),
      owned: (boot, after, limit) =>
        Effect.map(database.query(ownedNodes, [boot, after, limit]), (rows) =>
          as<{ readonly appId: string }>(rows).map(({ appId }) => appId)
        ),
      orphaned: (limit) => Effect.map(database.query(orphanedNodes, [limit]), (rows) => as<DueNode>(rows))
    }
  })
)
