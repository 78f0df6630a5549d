import { Effect, Layer } from "effect"
import { AuditLog } from "./AuditLog.ts"
import { Database } from "./Database.ts"
import { pgJson, pgOptionalText, pgText } from "./PgText.ts"
import { recordAudit, useNonce } from "./sql/audit.ts"

/** `AuditLog` on SQL. */
export const layer: Layer.Layer<AuditLog, never, Database> = Layer.effect(
  AuditLog,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      record: (entry) =>
        Effect.asVoid(
          database.query(recordAudit, [
            pgText(entry.actor),
            pgText(entry.action),
            entry.appId,
            entry.decision,
            pgText(entry.reason),
            pgOptionalText(entry.correlationId),
            entry.data === null ? null : pgJson(entry.data)
          ])
        ),
      useNonce: (keyId, nonce, windowMs) =>
        Effect.map(
          database.query(useNonce, [pgText(keyId), pgText(nonce), Math.round(windowMs)]),
          (rows) => rows.length === 1
        )
    }
  })
)
