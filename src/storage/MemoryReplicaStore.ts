import { Effect, Layer } from "effect"
import { MemoryTables, step } from "./MemoryTables.ts"
import { ReplicaStore } from "./ReplicaStore.ts"

/** `ReplicaStore` in memory: for unit tests. */
export const layer: Layer.Layer<ReplicaStore, never, MemoryTables> = Layer.effect(
  ReplicaStore,
  Effect.gen(function* () {
    const tables = yield* MemoryTables
    return {
      renew: ({ boot }, ttlMs) =>
        step(tables, ({ replicas }, now) => {
          const replica = replicas.get(boot)
          if (replica?.reaped === true) return false
          if (replica === undefined)
            replicas.set(boot, { expiresAt: now + ttlMs, reaped: false, verdictsHeldUntil: now })
          else replica.expiresAt = now + ttlMs
          return true
        }),
      release: (boot) =>
        step(tables, ({ replicas }, now) => {
          const replica = replicas.get(boot)
          if (replica !== undefined)
            Object.assign(replica, { expiresAt: Math.min(replica.expiresAt, now), reaped: true })
        }),
      expireOthers: (boot) =>
        step(tables, ({ leases, replicas }, now) => {
          for (const [other, replica] of replicas) {
            if (other !== boot) Object.assign(replica, { expiresAt: Math.min(replica.expiresAt, now), reaped: true })
          }
          for (const lease of leases.values()) {
            if (lease.holder !== boot) Object.assign(lease, { holder: null, expiresAt: now })
          }
        }),
      now: step(tables, (_, now) => now),
      reapExpired: (boot, notAfter) =>
        step(tables, ({ replicas }, now) => {
          if (now > notAfter) return []
          const expired = [...replicas].filter(
            ([other, replica]) => other !== boot && !replica.reaped && replica.expiresAt <= now
          )
          for (const [, replica] of expired) replica.reaped = true
          return expired.map(([other]) => other)
        }),
      reaped: (boots) => step(tables, ({ replicas }) => boots.filter((boot) => replicas.get(boot)?.reaped === true)),
      holdVerdicts: (boot, ms) =>
        step(tables, ({ replicas }, now) => {
          const replica = replicas.get(boot)
          if (replica !== undefined) replica.verdictsHeldUntil = Math.max(replica.verdictsHeldUntil, now + ms)
        }),
      holdDuty: (duty, boot, ttlMs) =>
        step(tables, ({ leases }, now) => {
          const lease = leases.get(duty)
          if (lease !== undefined && lease.holder !== null && lease.holder !== boot && lease.expiresAt > now) {
            return { held: false, cursor: 0 }
          }
          const cursor = lease?.cursor ?? 0
          leases.set(duty, { holder: boot, expiresAt: now + ttlMs, cursor })
          return { held: true, cursor }
        }),
      advanceDuty: (duty, boot, cursor) =>
        step(tables, ({ leases }, now) => {
          const lease = leases.get(duty)
          if (lease === undefined || lease.holder !== boot || lease.expiresAt <= now) return false
          lease.cursor = Math.max(lease.cursor, cursor)
          return true
        }),
      restartDuty: (duty, boot) =>
        step(tables, ({ leases }, now) => {
          const lease = leases.get(duty)
          if (lease === undefined || lease.holder !== boot || lease.expiresAt <= now) return false
          lease.cursor = 0
          return true
        }),
      releaseDuty: (duty, boot) =>
        step(tables, ({ leases }, now) => {
          const lease = leases.get(duty)
          if (lease?.holder === boot) Object.assign(lease, { holder: null, expiresAt: now })
        })
    }
  })
)
