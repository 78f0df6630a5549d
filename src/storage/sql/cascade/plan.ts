import type { Statement } from "../../Database.ts"
import { FINAL_STATES } from "../finalStates.ts"
import { LOG_TURN, treeKey } from "../locks.ts"
import { logCancelled } from "./logCancelled.ts"

/**
 * $1 node. Births hold this lock shared until they are committed: what the next statement reads is all that was born, and
 * what comes later finds the seal (DESIGN §4).
 */
export const lockCascade: Statement = {
  name: "cascade.lock",
  text: `
select t.root_id, pg_advisory_xact_lock(${treeKey("t.root_id")}) from public.node_tree t where t.app_id = $1::uuid`
}

/** An answer may come so much later than the grace, within what all levels together may take longer, milliseconds. */
const MARGIN = 1000
const ALL_MARGINS = 8000

/**
 * $1 node, $2 scope, $3 filter, $4 action, $5 grace, $6 deadline, $7 origin. A node is a probe of each table, however many there are;
 * whoever has ended is counted and costs nothing more. `facts`: the levels, and the times that fit into the deadline.
 */
const PLAN = `
with recursive below(app_id, depth) as (
  select t.app_id, 0 from public.node_tree t where t.app_id = $1::uuid
  union all
  select t.app_id, b.depth + 1
  from below b join public.node_tree t on t.parent_id = any (array[b.app_id])
  where $2::text <> 'node' and (b.depth > 0 or case $2::text
    when 'siblings' then t.app_id <> $7::uuid
    when 'dependents' then exists (
      select from public.node_status s
      join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
      where s.app_id = any (array[t.app_id]) and d.supervision ->> 'onParentExit' = 'cancel')
    else true
  end)
), planned as materialized (
  select b.app_id, b.depth, s.status, s.status in (${FINAL_STATES}) as ended,
    case when $4::text = 'cancel' then i.cancel_grace_ms end as own_grace_ms
  from below b
  join public.node_status s on s.app_id = any (array[b.app_id])
  left join public.node_incarnations i on i.app_id = any (array[s.app_id]) and i.incarnation = s.incarnation
  where (b.depth > 0 or $2::text in ('node', 'tree')) and ($3::jsonb is null or exists (
    select from public.nodes d
    where d.app_id = any (array[s.app_id]) and d.start_day = s.start_day and d.tags @> $3::jsonb))
), size as materialized (
  select count(*)::int4 as total, coalesce(max(p.depth) filter (where not p.ended), 0) + 1 as levels from planned p
), facts as materialized (
  select size.total, size.levels, m.margin_ms,
    case when $6::int4 is null then $5::int4
      else least($5::int4, greatest(0, ($6::int4 - least(${MARGIN}, $6::int4 / 4)) / size.levels - m.margin_ms))
    end as grace_ms
  from size cross join lateral (
    select least(${MARGIN}, ${ALL_MARGINS} / size.levels, $6::int4 / (4 * size.levels)) as margin_ms
  ) m
)`

/** What the plan comes to, in one row. */
const FACTS = `
  f.total, f.levels, f.grace_ms as "graceMs", d.app_name as "appName", (extract(epoch from now()) * 1000)::int8 as now,
  (select count(*)::int4 from planned p where p.ended) as ended,
  (select max(p.depth) from planned p where not p.ended) as level
from facts f
join public.node_status s on s.app_id = $1::uuid
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day`

/**
 * Besides: $8 id, $9 payload, $10 reason, $11 issuer, $12 key, $13 traceparent, $14 whether it seals. One statement: the
 * operation, the seal and the plan. No row: there is such an operation already, or no such node.
 */
export const beginCascade: Statement = {
  name: "cascade.begin",
  text: `${PLAN}, made as (
  insert into public.cascades (
    id, app_id, action, payload, scope, origin, reason, grace_ms, margin_ms, deadline_ms, filter, issued_by,
    idempotency_key, traceparent, levels, total)
  select $8::uuid, $1::uuid, $4::text, $9::text, $2::text, $7::uuid, $10::text, f.grace_ms, f.margin_ms, $6::int4,
    $3::jsonb, $11::text, $12::text, $13::text, f.levels, f.total
  from facts f
  where exists (select from below)
  on conflict do nothing
  returning id, grace_ms
), sealed as (
  insert into public.seals (app_id, operation, reason)
  select b.app_id, made.id, $10::text
  from made cross join below b
  where $14::boolean and b.depth = case when $2::text = 'tree' then 0 else 1 end
  on conflict (app_id) do nothing
), listed as (
  insert into public.cascade_nodes (operation, app_id, depth, state, outcome, grace_ms, resolved_at)
  select made.id, p.app_id, p.depth,
    case when p.ended then 'resolved' else 'pending' end, case when p.ended then 'already_terminal' end,
    least(made.grace_ms, coalesce(p.own_grace_ms, made.grace_ms)), case when p.ended then now() end
  from made cross join planned p
)
select ${FACTS}
join made on true`
}

/**
 * $1 operation, a cancel. In the plan's own transaction: what was never started can't come up later. It has no process that
 * others have to wait for, so that it ends at once, whatever its level.
 */
export const withdrawScheduled: Statement = {
  name: "cascade.withdraw",
  text: `
with k as materialized (
  select * from public.cascades where id = $1::uuid
), waiting as materialized (
  select n.app_id
  from k join public.cascade_nodes n on n.operation = any (array[k.id]) and n.state = 'pending'
  join public.node_status s on s.app_id = any (array[n.app_id])
  where s.status = 'scheduled'
  order by n.app_id
), withdrawn as (
  update public.node_status s set
    status = 'cancelled', before = null, n = s.n + 1, write_id = gen_random_uuid(), state_deadline_at = null,
    updated_at = now(), ended_at = now(), outcome = jsonb_build_object('state', 'cancelled', 'reason', k.reason)
  from waiting cross join k
  where s.app_id = any (array[waiting.app_id]) and s.status = 'scheduled'
  returning s.app_id, s.n, s.epoch, s.incarnation
), resolved as (
  update public.cascade_nodes n set state = 'resolved', outcome = 'acked', resolved_at = now()
  from withdrawn w
  where n.operation = $1::uuid and n.app_id = any (array[w.app_id])
), turn as materialized (
  select ${LOG_TURN} from withdrawn having count(*) > 0
), logged as (${logCancelled("withdrawn")}
)
select app_id from withdrawn`
}

/** A row even when nothing fits the filter; none when there is no such node. */
export const previewCascade: Statement = {
  name: "cascade.preview",
  text: `${PLAN}
select ${FACTS}`
}

/**
 * $1 node, $2 issuer, $3 key, $4 id: the one that is there already; and whether it is to do the same: $5 action, $6 payload,
 * $7 scope, $8 filter, $9 reason, $10 deadline, $11 grace (which a deadline shortens, so that it says nothing then).
 */
export const knownCascade: Statement = {
  name: "cascade.known",
  text: `
select k.id, (k.action, k.payload, k.scope, k.filter, k.reason, k.deadline_ms)
    is not distinct from ($5::text, $6::text, $7::text, $8::jsonb, $9::text, $10::int4)
  and (k.deadline_ms is not null or k.grace_ms = $11::int4) as "isSame"
from public.cascades k
where k.id = $4::uuid or (k.app_id = $1::uuid and k.issued_by = $2::text and k.idempotency_key = $3::text)
limit 1`
}
