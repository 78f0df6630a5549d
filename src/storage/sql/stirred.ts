import type { Statement } from "../Database.ts"

/** $1: JSON array of ids; $2, $3: which of them are ancestors of nodes with rows $2 < id <= $3, and the last such id. */
export const stirred: Statement = {
  name: "log.stirred",
  text: `
select a.id as "appId", max(p.newest) as newest
from (
  select l.parent_id, max(l.id) as newest
  from public.node_log l
  where l.id > $2::int8 and l.id <= $3::int8 and l.parent_id is not null and l.kind <> 'refused'
  group by l.parent_id
) p
join public.node_tree t on t.app_id = any (array[p.parent_id])
cross join lateral unnest(t.path) as a(id)
where a.id in (select w.id::uuid from jsonb_array_elements_text($1::jsonb) as w(id))
group by a.id`
}
