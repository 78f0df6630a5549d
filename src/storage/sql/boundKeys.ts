import type { Statement } from "../Database.ts"

/** $1 id. */
export const boundKeys: Statement = {
  name: "node.keys",
  text: `
select pub_key as "pubKey", (extract(epoch from valid_from) * 1000)::int8 as "from",
  (extract(epoch from valid_to) * 1000)::int8 as "to"
from public.node_incarnations
where app_id = $1::uuid
order by incarnation`
}
