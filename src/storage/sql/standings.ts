import type { Statement } from "../Database.ts"

/** $1 id. Rows are `Standing`s. */
export const standing: Statement = {
  name: "node.standing",
  text: `
select
  s.app_id as "appId", d.app_name as "appName", s.status, s.n,
  (extract(epoch from s.ended_at) * 1000)::int8 as "endedAt", s.outcome, s.snapshot
from public.node_status s
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
where s.app_id = $1::uuid`
}

/** $1: JSON array of ids. */
export const movedNodes: Statement = {
  name: "node.moved",
  text: `
select s.app_id as "appId", s.n, s.status
from jsonb_array_elements_text($1::jsonb) as w(id)
join public.node_status s on s.app_id = any (array[w.id::uuid])`
}
