import type { Statement } from "../Database.ts"
import { INNER_NODES } from "./followTree.ts"

/** $1 node, $2 log id. The search ends with the first row that it finds. */
export const stirredSince: Statement = {
  name: "tree.stirred",
  text: `
with recursive ${INNER_NODES}
select
  $2::int8 > (select q.last_value from public.node_log_id q) as "foreign",
  coalesce((select l.id from public.node_log l where l.app_id = s.app_id order by l.n desc limit 1) > $2::int8, false)
  or exists (
    select from parents p cross join lateral (
      select l.id from public.node_log l
      where l.parent_id = any (array[p.app_id]) and l.kind <> 'refused' and l.id > $2::int8
      order by l.parent_id, l.id limit 1
    ) l
  ) as stirred,
  s.n,
  coalesce((select l.id from public.node_log l order by l.id desc limit 1), 0) as newest
from public.node_status s
where s.app_id = $1::uuid`
}
