import type { Statement } from "../Database.ts"

/** $1 owner, $2 after (or null), $3 limit. In the order of the partial index on (owner, app_id). */
export const ownedNodes: Statement = {
  name: "node.owned",
  text: `
select s.app_id as "appId" from public.node_status s
where s.owner = $1::uuid and s.status in ('connected', 'running')
  and s.app_id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
order by s.owner, s.app_id
limit $3::int4`
}
