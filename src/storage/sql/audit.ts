import type { Statement } from "../Database.ts"

/** $1 actor, $2 action, $3 app, $4 decision, $5 reason, $6 correlation, $7 data. */
export const recordAudit: Statement = {
  name: "audit.record",
  text: `
insert into public.audit_log (actor, action, app_id, decision, reason, correlation_id, data)
values ($1::text, $2::text, $3::uuid, $4::text, $5::text, $6::text, $7::jsonb)`
}

/** $1 key, $2 nonce, $3 window in ms. No row: it was used before. */
export const useNonce: Statement = {
  name: "audit.nonce",
  text: `
with expired as (
  delete from public.http_nonces where used_at < now() - $3::int8 * interval '1 millisecond'
)
insert into public.http_nonces (key_id, nonce) values ($1::text, $2::text)
on conflict do nothing
returning key_id`
}
