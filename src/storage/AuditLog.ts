import { Context, type Effect } from "effect"
import type { StoreError } from "./StoreError.ts"

export interface AuditEntry {
  /** `key:<first 16 digits>`, `node:<appId>`, `admin`, `anonymous` */
  readonly actor: string
  readonly action: string
  readonly appId: string | null
  readonly decision: "allow" | "deny"
  readonly reason: string
  readonly correlationId: string | null
  readonly data: Readonly<Record<string, unknown>> | null
}

/** INSERT only (DESIGN §4 `audit_log`, `http_nonces`). */
export class AuditLog extends Context.Service<
  AuditLog,
  {
    readonly record: (entry: AuditEntry) => Effect.Effect<void, StoreError>
    /**
     * Uses up the nonce of a signed mutating request; false when it was used before. Rows older than `windowMs` are
     * dropped on the way.
     */
    readonly useNonce: (keyId: string, nonce: string, windowMs: number) => Effect.Effect<boolean, StoreError>
  }
>()("trails/storage/AuditLog") {}
