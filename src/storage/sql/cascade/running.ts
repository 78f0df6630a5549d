import type { Statement } from "../../Database.ts"
import { FINAL_STATES } from "../finalStates.ts"
import { ASKED, DUE } from "./level.ts"

/**
 * $1 the operation before, or null, $2 limit. Operations that are not through, the oldest first, and whether there is
 * anything to do about each: one that only waits, for an hour perhaps, costs a few probes a round and no statement of its own.
 */
export const runningCascades: Statement = {
  name: "cascade.running",
  text: `
with page as materialized (
  select k.* from public.cascades k
  where k.finished_at is null and (k.created_at, k.id) > (
    case when $1::uuid is null then '-infinity' else (select p.created_at from public.cascades p where p.id = $1::uuid) end,
    coalesce($1::uuid, '00000000-0000-0000-0000-000000000000'))
  order by k.created_at, k.id limit $2::int4
)
select k.id,
  level.depth is null
    or exists (
      select from public.cascade_nodes n
      where n.operation = any (array[k.id]) and n.depth = level.depth and n.state = 'pending')
    or exists (
      select from (
        select ${ASKED}
        from public.cascade_nodes n
        where n.operation = any (array[k.id]) and n.depth = level.depth and n.state = 'asked'
      ) a
      join public.node_status s on s.app_id = any (array[a.app_id])
      left join public.control_queue c on c.correlation_id = any (array[a.correlation_id])
      where s.status in (${FINAL_STATES}) or ${DUE} <= now()
        or case when k.action = 'cancel' then c.ack is false else c.ack is not null end) as "hasWork"
from page k
left join lateral (
  select n.depth from public.cascade_nodes n
  where n.operation = any (array[k.id]) and n.state <> 'resolved'
  order by n.operation desc, n.depth desc limit 1
) level on true
order by k.created_at, k.id`
}

/** $1 node, $2 issuer, $3 limit: how many operations of this issuer about it are not through; no more than that are counted. */
export const openCascades: Statement = {
  name: "cascade.open",
  text: `
select count(*)::int4 as count from (
  select from public.cascades k
  where k.app_id = $1::uuid and k.issued_by = $2::text and k.finished_at is null limit $3::int4
) k`
}
