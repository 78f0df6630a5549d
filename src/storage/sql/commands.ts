import { MOST_COMMANDS, OPEN_ANSWER_BYTES, OPEN_BYTES, OPEN_COMMANDS } from "../CommandStore.ts"
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
 * such a command already, no node that could take it, or too much waits for it.
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
  where s.app_id = $1::uuid and s.status not in (${FINAL_STATES}) and (
    select count(*) from (
      select from public.control_queue o
      where o.app_id = any (array[s.app_id]) and o.answered_at is null and o.expires_at > now()
      limit ${MOST_COMMANDS}
    ) o) < ${MOST_COMMANDS}
  on conflict do nothing
  returning *
)
select ${COLUMNS}, s.owner, s.epoch
from sent c join public.node_status s on s.app_id = any (array[c.app_id])`
}

/** $1 node, $2 issuer, $3 key, $4 correlation id: how the node stands, and the command that was there before. */
export const knownCommand: Statement = {
  name: "command.known",
  text: `
select s.status, s.owner, s.epoch, c.*
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

/**
 * $1 boot, $2 node or null, $3 limit; in the order of the nodes. Who holds all the unanswered commands that a session may is
 * told nothing more. `limit 1`: a probe of the key, in whatever plan.
 */
export const untoldNodes: Statement = {
  name: "command.untold",
  text: `
select n.app_id as "appId"
from (
  select distinct c.app_id, s.session
  from public.control_queue c
  cross join lateral (
    select s.session, s.owner, s.status from public.node_status s where s.app_id = any (array[c.app_id]) limit 1
  ) s
  where c.answered_at is null and c.expires_at > now() and c.session is distinct from s.session
    and s.owner = $1::uuid and s.status in ('connected', 'running')
    and c.app_id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
) n
where exists (
  select from (
    select o.session from public.control_queue o
    where o.app_id = any (array[n.app_id]) and o.answered_at is null and o.expires_at > now()
    order by o.action <> 'cancel', o.id limit ${OPEN_COMMANDS}
  ) o
  where o.session is distinct from n.session)
order by n.app_id limit $3::int4`
}

/** $1 limit. `coalesce`: the rows are probed by their key, and no index of open commands is walked for each. */
export const expireCommands: Statement = {
  name: "command.expire",
  text: `
with due as materialized (
  select c.id from public.control_queue c
  where c.answered_at is null and c.expires_at <= now()
  order by c.expires_at limit $1::int4
)
update public.control_queue c set answered_at = now(), error = 'expired'
from due
where c.id = any (array[due.id]) and coalesce(c.answered_at, 'infinity') = 'infinity'
returning c.id`
}

/** How long a node that has ended may take to answer what it was told before, milliseconds. */
const LAST_ANSWERS = 5000

/** `node_log_ends` has them all. */
const ENDS = "l.kind in ('result', 'error', 'cancelled', 'crash', 'start_failed', 'lost_contact')"

/**
 * $1 log id, $2 limit: ends behind it, as far as they are old enough. An id may have been drawn later than the one before
 * it and yet be the older row: what is behind the first one that is too young is left for the next time.
 */
export const expireEnded: Statement = {
  name: "command.expire.ended",
  text: `
with page as materialized (
  select l.id, l.app_id, l.created_at from public.node_log l
  where l.id > $1::int8 and ${ENDS}
  order by l.id limit $2::int4
), ripe as materialized (
  select p.id, p.app_id from page p
  where p.id < coalesce((
    select min(y.id) from page y where y.created_at > now() - ${LAST_ANSWERS} * interval '1 millisecond'), 9223372036854775807)
), ended as (
  update public.control_queue c set answered_at = now(), error = 'ended'
  from (
    select distinct r.app_id from ripe r join public.node_status s on s.app_id = any (array[r.app_id])
    where s.status in (${FINAL_STATES})
  ) e
  cross join lateral (
    select o.id from public.control_queue o
    where o.app_id = any (array[e.app_id]) and o.answered_at is null
    order by o.app_id, o.id offset 0
  ) o
  where c.id = any (array[o.id]) and coalesce(c.answered_at, 'infinity') = 'infinity'
)
select coalesce((select max(id) from ripe), $1::int8) as "upTo", (select count(*) = $2::int4 from ripe) as more`
}

/** The last end that was old enough a while ago: from where `expireEnded` goes on when nobody knows how far it was. */
export const lastEnd: Statement = {
  name: "command.last.end",
  text: `
select coalesce((
  select l.id from public.node_log l
  where ${ENDS} and l.created_at <= now() - 2 * ${LAST_ANSWERS} * interval '1 millisecond'
  order by l.id desc limit 1), 0) as id`
}

/** $1 limit. The same for all that is open, whenever its node ended: reads every open command. */
export const expireLeft: Statement = {
  name: "command.expire.left",
  text: `
with due as materialized (
  select c.id from public.control_queue c
  cross join lateral (
    select s.status, s.ended_at from public.node_status s where s.app_id = any (array[c.app_id]) limit 1
  ) s
  where c.answered_at is null
    and s.status in (${FINAL_STATES}) and s.ended_at <= now() - ${LAST_ANSWERS} * interval '1 millisecond'
  limit $1::int4
)
update public.control_queue c set answered_at = now(), error = 'ended'
from due
where c.id = any (array[due.id]) and coalesce(c.answered_at, 'infinity') = 'infinity'
returning c.id`
}
