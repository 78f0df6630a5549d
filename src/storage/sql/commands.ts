import { OPEN_ANSWER_BYTES, OPEN_BYTES, OPEN_COMMANDS } from "../CommandStore.ts"
import type { Statement } from "../Database.ts"
import { epochMs } from "./epochMs.ts"
import { FINAL_STATES } from "./finalStates.ts"

/** Columns of a `CommandRow`. An expired one that nobody has marked yet is expired all the same. */
const COLUMNS = `
  c.id, c.app_id as "appId", c.correlation_id as "correlationId", c.action, coalesce(c.payload, 'null') as payload,
  c.issued_by as "issuedBy", c.idempotency_key as "idempotencyKey", c.traceparent, c.operation, c.session,
  case
    when c.ack is not null then 'answered'
    when c.answered_at is not null or c.expires_at <= now() then 'expired'
    when c.delivered_at is not null then 'delivered'
    else 'queued'
  end as state,
  ${epochMs("c.issued_at")} as "issuedAt", ${epochMs("c.expires_at")} as "expiresAt", ${epochMs("c.delivered_at")} as "deliveredAt",
  c.deliveries, ${epochMs("c.answered_at")} as "answeredAt", c.ack, c.result,
  case when c.answered_at is null and c.expires_at <= now() then 'expired' else c.error end as error`

/**
 * $1 node, $2 correlation id, $3 action, $4 payload, $5 issuer, $6 key, $7 traceparent, $8 ttl in ms. No row: there is
 * such a command already, or no node that could take it.
 */
export const sendCommand: Statement = {
  name: "command.send",
  text: `
with sent as (
  insert into public.control_queue as c (
    app_id, correlation_id, action, payload, issued_by, idempotency_key, traceparent, expires_at)
  select s.app_id, $2::uuid, $3::text, $4::text, $5::text, $6::text, $7::text,
    now() + $8::float8 * interval '1 millisecond'
  from public.node_status s
  where s.app_id = $1::uuid and s.status not in (${FINAL_STATES})
  on conflict do nothing
  returning *
)
select ${COLUMNS}, s.owner
from sent c join public.node_status s on s.app_id = any (array[c.app_id])`
}

/** $1 node, $2 issuer, $3 key, $4 correlation id: how the node stands, and the command that was there before. */
export const knownCommand: Statement = {
  name: "command.known",
  text: `
select s.status, s.owner, c.*
from public.node_status s
left join lateral (
  select ${COLUMNS} from public.control_queue c
  where c.app_id = s.app_id
    and ((c.issued_by = $2::text and c.idempotency_key = $3::text) or c.correlation_id = $4::uuid)
  limit 1
) c on true
where s.app_id = $1::uuid`
}

/** $1 node, $2 correlation id. */
export const readCommand: Statement = {
  name: "command.read",
  text: `
select ${COLUMNS} from public.control_queue c
where c.correlation_id = $2::uuid and c.app_id = $1::uuid`
}

/** $1: JSON array of `CommandName`s. What is not through is not read further than that. */
export const throughCommands: Statement = {
  name: "command.through",
  text: `
select ${COLUMNS}
from jsonb_to_recordset($1::jsonb) as r("appId" uuid, "correlationId" uuid)
join public.control_queue c on c.correlation_id = any (array[r."correlationId"]) and c.app_id = r."appId"
where coalesce(c.answered_at, 'infinity') < 'infinity' or c.expires_at <= now()`
}

/** $1 node, $2 id or null, $3 limit. */
const list = (besides: string): string => `
select ${COLUMNS} from public.control_queue c
where c.app_id = $1::uuid and c.id < coalesce($2::int8, 9223372036854775807)${besides}
order by c.app_id, c.id desc limit $3::int4`

export const listCommands: Statement = { name: "command.list", text: list("") }

export const listOpenCommands: Statement = {
  name: "command.list.open",
  text: list(" and c.answered_at is null and c.expires_at > now()")
}

/**
 * $1: JSON array of `OpenRequest`s. A cancel goes before the others, and past those that nobody answers. `before`: the bytes
 * of a session's rows in front of one, `above`: of all rows; a payload that is left out is not even read.
 */
export const openCommands: Statement = {
  name: "command.open",
  text: `
select *
from (
  select c.*, r.place::int4 as place,
    coalesce(sum(c.bytes) over (order by r.place, c.rank rows between unbounded preceding and 1 preceding), 0) as above
  from rows from (jsonb_to_recordset($1::jsonb) as ("appId" uuid, session uuid)) with ordinality as r(app_id, session, place)
  cross join lateral (
    select c.*, coalesce(sum(c.bytes) over (order by c.rank rows between unbounded preceding and 1 preceding), 0) as before
    from (
      select ${COLUMNS}, coalesce(octet_length(c.payload), 0) as bytes,
        row_number() over (order by c.action <> 'cancel', c.id) as rank
      from public.control_queue c
      where c.app_id = any (array[r.app_id]) and c.answered_at is null and c.expires_at > now()
      order by c.action <> 'cancel', c.id limit ${OPEN_COMMANDS}
    ) c
    where c.session is distinct from r.session
  ) c
  where c.before < ${OPEN_BYTES}
) c
where c.above - c.before < ${OPEN_ANSWER_BYTES}
order by c.place, c.rank`
}

/** $1 boot, $2 limit. Commands that wait are few: those with an answer are in no index here. */
export const untoldNodes: Statement = {
  name: "command.untold",
  text: `
select distinct c.app_id as "appId"
from public.control_queue c
join public.node_status s on s.app_id = any (array[c.app_id])
where c.answered_at is null and c.expires_at > now() and c.session is distinct from s.session
  and s.owner = $1::uuid and s.status in ('connected', 'running')
limit $2::int4`
}

/** How long a node that has ended may take to answer what it was told before, milliseconds. */
const LAST_ANSWERS = 5000

/** $1 limit. */
export const expireCommands: Statement = {
  name: "command.expire",
  text: `
with due as materialized (
  select c.id, s.status in (${FINAL_STATES}) as ended
  from public.control_queue c
  left join public.node_status s on s.app_id = any (array[c.app_id])
  where c.answered_at is null and (
    c.expires_at <= now()
    or (s.status in (${FINAL_STATES}) and s.updated_at <= now() - ${LAST_ANSWERS} * interval '1 millisecond'))
  order by c.id limit $1::int4
)
update public.control_queue c set answered_at = now(), error = case when due.ended then 'ended' else 'expired' end
from due
where c.id = any (array[due.id]) and c.answered_at is null
returning c.id`
}
