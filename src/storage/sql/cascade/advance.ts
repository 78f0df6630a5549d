import type { Statement } from "../../Database.ts"
import { FINAL_STATES } from "../finalStates.ts"
import { LOG_TURN } from "../locks.ts"
import { ASKED, DUE, IS_OPEN, LEVEL, ms, RETURNING, SESSIONS, TELLING } from "./level.ts"
import { logCancelled } from "./logCancelled.ts"

/** Nodes that one statement asks, and the most that wait to be told: a level of 10,000 must not stand in its own way. */
export const CASCADE_BATCH = 500
/** Nodes that one statement ends: it holds their rows until it is through. */
export const FORCED_BATCH = 100
/** Nodes that one step ends: other operations wait for it. */
const FORCED = 1000

/** A command of a cancel is good beyond its grace: who comes back after an outage is told. */
const CANCEL_TTL = 3_600_000

/** How long a command of `k` is good for a node `n`: never less than it is waited for (`DUE`). */
const TTL = ms(
  `${SESSIONS} * (n.grace_ms + k.margin_ms + ${TELLING + RETURNING}) + case when k.action = 'cancel' then ${CANCEL_TTL} else 0 end`
)

/**
 * Of a node that is probed by its key: written so that the index of what is open does not fit, through whose whole level a
 * plan from a time when there was nothing would go for each node.
 */
const IS = (state: "asked" | "pending"): string => `coalesce(n.state, '') = '${state}'`

/** Who is through: ended, or, of another action than cancel, has answered. */
export const resolveCascade: Statement = {
  name: "cascade.resolve",
  text: `${LEVEL}, through as materialized (
  select a.app_id, case
    when s.status = 'cancelled' and s.outcome ->> 'forced' = 'true' then 'forced'
    when s.status = 'cancelled' or c.ack then 'acked'
    when s.status in (${FINAL_STATES}) then 'already_terminal'
    else 'refused'
  end as outcome
  from asked a
  join public.node_status s on s.app_id = any (array[a.app_id])
  left join public.control_queue c on c.correlation_id = any (array[a.correlation_id])
  where case
    -- Its Result has ended it, and its answer, which may say that something had to be killed, is on the way.
    when s.status = 'cancelled' and s.session is not null and c.delivered_at is not null and c.answered_at is null
      then s.ended_at <= now() - interval '1 second'
    else s.status in (${FINAL_STATES}) or (a.action <> 'cancel' and c.ack is not null)
  end
)
update public.cascade_nodes n set state = 'resolved', outcome = t.outcome, resolved_at = now()
from through t
where n.operation = $1::uuid and n.app_id = any (array[t.app_id]) and ${IS("asked")}`
}

const OUT_OF_PATIENCE = `
  a.action = 'cancel' and s.status not in (${FINAL_STATES}) and (c.ack is false or ${DUE} <= now())`

/** Whose patience is over, or who said that it can't stop. The level is gone through once for all of them. */
export const dueCascade: Statement = {
  name: "cascade.due",
  text: `${LEVEL}
select a.app_id as "appId"
from asked a
join public.node_status s on s.app_id = any (array[a.app_id])
left join public.control_queue c on c.correlation_id = any (array[a.correlation_id])
where ${OUT_OF_PATIENCE}
limit ${FORCED}`
}

/**
 * $1 operation, $2 JSON array of ids: those of them who are out of patience still are ended. The epoch rises, so that whoever
 * holds the session stores nothing more under it. The owner is told, and a child that still lives is told to stop (PROTOCOL §4).
 */
export const forceCascade: Statement = {
  name: "cascade.force",
  text: `
with k as materialized (
  select k.* from public.cascades k where k.id = $1::uuid and ${IS_OPEN}
), named as materialized (
  select id::uuid from jsonb_array_elements_text($2::jsonb) as ids(id)
), asked as materialized (
  select ${ASKED}
  from named cross join k cross join lateral (
    -- A probe per node: the limit keeps a plan of a time when there was nothing from going through the operation for each.
    select n.* from public.cascade_nodes n
    where n.operation = $1::uuid and n.app_id = any (array[named.id]) and ${IS("asked")} limit 1
  ) n
), due as materialized (
  select a.app_id, s.owner, c.delivered_at is not null as told
  from asked a
  join public.node_status s on s.app_id = any (array[a.app_id])
  left join public.control_queue c on c.correlation_id = any (array[a.correlation_id])
  where ${OUT_OF_PATIENCE}
  order by a.app_id
), moved as (
  update public.node_status s set
    status = 'cancelled', before = null, owner = null, session = null, epoch = s.epoch + 1, n = s.n + 1,
    write_id = gen_random_uuid(), state_deadline_at = null, updated_at = now(), ended_at = now(),
    disconnected_at = case when s.session is not null then now() else s.disconnected_at end,
    outcome = jsonb_build_object('state', 'cancelled', 'reason', k.reason, 'forced', true)
  from due cross join k
  where s.app_id = any (array[due.app_id]) and s.status not in (${FINAL_STATES})
  returning s.app_id, s.n, s.epoch, s.incarnation, due.owner, due.told
), resolved as (
  update public.cascade_nodes n set
    state = 'resolved', outcome = case when m.told then 'forced' else 'unreachable' end, resolved_at = now()
  from moved m
  where n.operation = $1::uuid and n.app_id = any (array[m.app_id])
), turn as materialized (
  select ${LOG_TURN} from moved having count(*) > 0
), logged as (${logCancelled("moved", ", 'forced', true, 'outcome', case when e.told then 'forced' else 'unreachable' end")}
)
select m.app_id as "appId", m.owner, m.epoch from moved m`
}

/**
 * Of another action than cancel: nobody has answered in time, and nothing is forced. The command is over with that: who comes
 * back later does not carry out what is said to have reached nobody.
 */
export const giveUpCascade: Statement = {
  name: "cascade.give_up",
  text: `${LEVEL}, due as materialized (
  select a.app_id, a.correlation_id
  from asked a
  join public.node_status s on s.app_id = any (array[a.app_id])
  left join public.control_queue c on c.correlation_id = any (array[a.correlation_id])
  where a.action <> 'cancel' and c.ack is null and ${DUE} <= now()
), expired as (
  update public.control_queue c set answered_at = now(), error = 'expired'
  from due
  where c.correlation_id = any (array[due.correlation_id]) and coalesce(c.answered_at, 'infinity') = 'infinity'
)
update public.cascade_nodes n set state = 'resolved', outcome = 'unreachable', resolved_at = now()
from due
where n.operation = $1::uuid and n.app_id = any (array[due.app_id]) and ${IS("asked")}`
}

/** The next nodes of the level, as many as can be told soon: into the queue, unless they have ended meanwhile. */
export const releaseCascade: Statement = {
  name: "cascade.release",
  text: `${LEVEL}, room as materialized (
  select greatest(0, ${CASCADE_BATCH} - count(*)) as room
  from asked a
  join public.node_status s on s.app_id = any (array[a.app_id])
  join public.control_queue c on c.correlation_id = any (array[a.correlation_id])
  where c.delivered_at is null and s.session is not null
), next as materialized (
  select n.app_id, s.owner, s.epoch, s.status in (${FINAL_STATES}) as ended
  from k cross join level cross join lateral (
    select n.app_id from public.cascade_nodes n
    where n.operation = any (array[k.id]) and n.depth = level.depth and n.state = 'pending'
    order by n.app_id limit (select room from room)
  ) n
  join public.node_status s on s.app_id = any (array[n.app_id])
), released as (
  update public.cascade_nodes n set
    state = case when next.ended then 'resolved' else 'asked' end,
    outcome = case when next.ended then 'already_terminal' end,
    resolved_at = case when next.ended then now() end,
    asked_at = case when not next.ended then now() end,
    correlation_id = case when not next.ended then gen_random_uuid() end
  from next
  where n.operation = $1::uuid and n.app_id = any (array[next.app_id]) and ${IS("pending")}
  returning n.app_id, n.correlation_id, n.grace_ms, next.owner, next.epoch
), queued as (
  insert into public.control_queue (
    app_id, correlation_id, action, payload, issued_by, traceparent, operation, expires_at)
  select n.app_id, n.correlation_id, k.action,
    case when k.action = 'cancel'
      then jsonb_build_object('reason', k.reason, 'graceMs', n.grace_ms, 'operation', k.id)::text else k.payload end,
    k.issued_by, k.traceparent, k.id,
    now() + ${TTL}
  from released n cross join k
  where n.correlation_id is not null
  order by n.app_id
)
select r.app_id as "appId", r.owner, r.epoch, r.correlation_id is not null as asked from released r`
}

/** $1 operation. A row: it is through. */
export const finishCascade: Statement = {
  name: "cascade.finish",
  text: `
update public.cascades k set finished_at = now()
where k.id = $1::uuid and ${IS_OPEN}
  and not exists (
    select from public.cascade_nodes n where n.operation = any (array[k.id]) and n.state <> 'resolved')
returning k.id`
}

/** Their commands are good as long, also those whose time has run out meanwhile. */
export const grantCascades: Statement = {
  name: "cascade.grant",
  text: `
with granted as (
  update public.cascade_nodes n set asked_at = now() + ${ms(String(RETURNING))}
  from public.cascades k
  where k.finished_at is null and n.operation = any (array[k.id]) and n.state = 'asked'
  returning n.correlation_id, now() + ${ms(String(RETURNING))} + ${TTL} as expires_at
)
update public.control_queue c set
  expires_at = greatest(c.expires_at, g.expires_at), answered_at = null, error = null
from granted g
where c.correlation_id = any (array[g.correlation_id]) and c.ack is null
  and (c.answered_at is null or c.error = 'expired')`
}

/**
 * $1 operation, one that is through: while it goes on nothing above may be asked before who is asked again. Who has not ended
 * and was not told, or has refused, is asked again, the deepest first.
 */
export const retryCascade: Statement = {
  name: "cascade.retry",
  text: `
with k as materialized (
  select k.id from public.cascades k where k.id = $1::uuid and k.finished_at is not null for update
), again as (
  update public.cascade_nodes n set
    state = 'pending', outcome = null, resolved_at = null, asked_at = null, correlation_id = null
  from k cross join public.node_status s
  where n.operation = any (array[k.id]) and n.state = 'resolved' and n.outcome in ('unreachable', 'refused')
    and s.app_id = any (array[n.app_id]) and s.status not in (${FINAL_STATES})
  returning n.depth
)
update public.cascades k set finished_at = null, started_at = now(), levels = a.levels
from (select max(depth) + 1 as levels from again) a
where k.id = $1::uuid and a.levels is not null`
}
