import { Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { ReplicaStore } from "./ReplicaStore.ts"
import {
  advanceDuty,
  databaseNow,
  expireOtherReplicas,
  holdDuty,
  holdVerdicts,
  reapedReplicas,
  reapExpiredReplicas,
  releaseDuty,
  releaseReplica,
  renewReplica,
  restartDuty
} from "./sql/leases.ts"

/** `ReplicaStore` on SQL; all times are the database's. */
export const layer: Layer.Layer<ReplicaStore, never, Database> = Layer.effect(
  ReplicaStore,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      renew: (replica, ttlMs) =>
        Effect.map(
          database.query(renewReplica, [replica.boot, replica.instance, replica.version, Math.round(ttlMs)]),
          (rows) => rows.length === 1
        ),
      release: (boot) => Effect.asVoid(database.query(releaseReplica, [boot])),
      expireOthers: (boot) => Effect.asVoid(database.query(expireOtherReplicas, [boot])),
      now: Effect.map(database.query(databaseNow, []), ([row]) => row!["now"] as number),
      reapExpired: (boot, notAfter) =>
        Effect.map(database.query(reapExpiredReplicas, [boot, Math.round(notAfter)]), (rows) =>
          rows.map((row) => row["boot"] as string)
        ),
      reaped: (boots) =>
        Effect.map(database.query(reapedReplicas, [JSON.stringify(boots)]), (rows) =>
          rows.map((row) => row["boot"] as string)
        ),
      holdVerdicts: (boot, ms) => Effect.asVoid(database.query(holdVerdicts, [boot, Math.round(ms)])),
      holdDuty: (duty, boot, ttlMs) =>
        Effect.map(database.query(holdDuty, [duty, boot, Math.round(ttlMs)]), (rows) => ({
          held: rows.length === 1,
          cursor: rows.length === 1 ? (rows[0]!["cursor"] as number) : 0
        })),
      advanceDuty: (duty, boot, cursor) =>
        Effect.map(database.query(advanceDuty, [duty, boot, cursor]), (rows) => rows.length === 1),
      restartDuty: (duty, boot) => Effect.map(database.query(restartDuty, [duty, boot]), (rows) => rows.length === 1),
      releaseDuty: (duty, boot) => Effect.asVoid(database.query(releaseDuty, [duty, boot]))
    }
  })
)
