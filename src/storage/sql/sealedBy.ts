import type { Statement } from "../Database.ts"

/** $1: the parent. The topmost sealed node of its path. */
export const sealedBy: Statement = {
  name: "birth.sealed",
  text: `
select e.app_id, t.root_id
from public.node_tree t
left join lateral (
  select s.app_id from public.seals s where s.app_id = any (t.path)
  order by array_position(t.path, s.app_id) limit 1
) e on true
where t.app_id = $1::uuid`
}
