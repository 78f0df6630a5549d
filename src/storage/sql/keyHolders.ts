import type { Statement } from "../Database.ts"

/** $1 public key. */
export const keyHolders: Statement = {
  name: "key.holders",
  text: `
select i.app_id as "appId" from public.node_incarnations i
where i.pub_key = $1::text and i.valid_to is null
limit 100`
}

/** $1 JSON array of ids, $2 node. */
export const nearestAncestor: Statement = {
  name: "key.nearest",
  text: `
select p.id::text as "appId"
from public.node_tree t cross join unnest(t.path) with ordinality as p(id, depth)
where t.app_id = $2::uuid and p.id::text in (select jsonb_array_elements_text($1::jsonb))
order by p.depth desc limit 1`
}
