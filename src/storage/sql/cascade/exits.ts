import type { Statement } from "../../Database.ts"
import { ENDED_STATES } from "../endedStates.ts"
import { FINAL_STATES } from "../finalStates.ts"

/**
 * $1 log id, $2 limit. The ends logged after it, by the partial index of those alone, that have consequences for others
 * while they still stand; and up to which row was looked. One row at least.
 */
export const exitsAfter: Statement = {
  name: "cascade.exits",
  text: `
with ends as materialized (
  select l.id, l.app_id, l.n, l.day, l.kind from public.node_log l
  where l.id > $1::int8
    and l.kind in ('result', 'error', 'cancelled', 'crash', 'start_failed', 'lost_contact')
  order by l.id limit $2::int4
), exits as (
  select e.id, e.app_id, e.n, t.parent_id,
    case when e.kind in ('crash', 'start_failed') and t.parent_id is not null
      then nullif(d.supervision ->> 'onCrash', 'notify') end as on_crash,
    exists (
      select from public.node_tree c
      join public.node_status cs on cs.app_id = any (array[c.app_id])
      join public.nodes cd on cd.app_id = any (array[cs.app_id]) and cd.start_day = cs.start_day
      where c.parent_id = any (array[e.app_id]) and cs.status not in (${FINAL_STATES})
        and cd.supervision ->> 'onParentExit' = 'cancel') as has_dependents
  from ends e
  join public.node_status s on s.app_id = any (array[e.app_id])
  join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
  join public.node_tree t on t.app_id = any (array[s.app_id])
  -- A verdict that was reopened has not ended the node, however it has ended since: that has a row of its own. The day of a
  -- row is that of its transaction's begin, which may be before midnight for the later one.
  where s.status in (${ENDED_STATES}) and not exists (
    select from public.node_log r
    where r.app_id = any (array[e.app_id]) and r.n > e.n and r.day >= e.day - 1
      and r.kind in ('connected', 'recovered', 'rebound'))
)
select
  coalesce((select max(id) from ends), $1::int8) as "upTo", x.id, x.app_id as "appId", x.n, x.parent_id as "parentId",
  x.on_crash as "onCrash", x.has_dependents as "hasDependents"
from (select) one left join exits x on x.on_crash is not null or x.has_dependents
order by x.id`
}
