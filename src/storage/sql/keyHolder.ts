import type { Statement } from "../Database.ts"

/** $1 public key. */
export const keyHolder: Statement = {
  name: "key.holder",
  text: `
select i.app_id as "appId" from public.node_incarnations i
where i.pub_key = $1::text and i.valid_to is null
limit 1`
}

/** $1 public key, $2 node. A probe for each node of its path, however many others have the key. */
export const nearestHolder: Statement = {
  name: "key.nearest",
  text: `
select p.id::text as "appId"
from public.node_tree t cross join unnest(t.path) with ordinality as p(id, depth)
join public.node_incarnations i on i.app_id = any (array[p.id])
where t.app_id = $2::uuid and i.pub_key = $1::text and i.valid_to is null
order by p.depth desc limit 1`
}
