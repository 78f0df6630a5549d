import { Effect, Layer } from "effect"
import { AuditLog } from "./AuditLog.ts"
import { MemoryTables, step } from "./MemoryTables.ts"

/** `AuditLog` in memory: for unit tests; the entries are `MemoryTables.audit`. */
export const layer: Layer.Layer<AuditLog, never, MemoryTables> = Layer.effect(
  AuditLog,
  Effect.gen(function* () {
    const tables = yield* MemoryTables
    return {
      record: (entry) => step(tables, ({ audit }) => void audit.push(entry)),
      useNonce: (keyId, nonce, windowMs) =>
        step(tables, ({ nonces }, now) => {
          const key = JSON.stringify([keyId, nonce])
          const used = nonces.has(key)
          for (const [other, at] of nonces) if (at < now - windowMs) nonces.delete(other)
          if (!used) nonces.set(key, now)
          return !used
        })
    }
  })
)
