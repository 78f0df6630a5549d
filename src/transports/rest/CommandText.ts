import type { CommandRow } from "../../storage/CommandStore.ts"
import { exactText, instant } from "./JsonText.ts"

/** A command as REST shows it: payload and result are the exact texts, so that no number in them is rounded on the way. */
export const commandText = (row: CommandRow): string => {
  const members = {
    correlation_id: row.correlationId,
    app_id: row.appId,
    action: row.action,
    state: row.state,
    issued_by: row.issuedBy,
    idempotency_key: row.idempotencyKey,
    operation: row.operation,
    issued_at: instant(row.issuedAt),
    expires_at: instant(row.expiresAt),
    delivered_at: instant(row.deliveredAt),
    deliveries: row.deliveries,
    answered_at: row.state === "answered" ? instant(row.answeredAt) : null,
    ack: row.ack,
    error: row.error
  }
  return exactText(members, { payload: row.payload, result: row.result })
}
