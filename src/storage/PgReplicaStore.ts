import { Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { bundledMigrations, newestOf } from "./Migration.ts"
import { type LeaseAnswer, ReplicaStore } from "./ReplicaStore.ts"
import {
  advanceDuty,
  databaseClock,
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
    const schema = newestOf(bundledMigrations())
    return {
      renew: (replica, ttlMs) =>
        Effect.map(
          database.query(renewReplica, [replica.boot, replica.instance, replica.version, Math.round(ttlMs), schema]),
          (rows) => rows[0]!["answer"] as LeaseAnswer
        ),
      release: (boot) => Effect.asVoid(database.query(releaseReplica, [boot])),
      expireOthers: (boot) => Effect.asVoid(database.query(expireOtherReplicas, [boot])),
      clock: Effect.map(database.query(databaseClock, []), (rows) => rows[0]!["at"] as number),
      reapExpired: (boot, asOf) =>
        Effect.map(database.query(reapExpiredReplicas, [boot, asOf]), (rows) =>
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
