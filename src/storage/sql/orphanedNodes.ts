import type { Statement } from "../Database.ts"

const ATTACHED = "s.owner is not null and s.status in ('connected', 'running')"

/**
 * $1 limit. Nodes of owners that were reaped or are gone. The owners are found by skipping through the partial index,
 * one probe per owner, and only those that are gone are looked into (LATERAL with a LIMIT is never turned round): nodes
 * of living replicas cost nothing.
 */
export const orphanedNodes: Statement = {
  name: "node.orphaned",
  text: `
with recursive owners(owner) as (
  (select s.owner from public.node_status s where ${ATTACHED} order by s.owner limit 1)
  union all
  select (select s.owner from public.node_status s where ${ATTACHED} and s.owner > o.owner order by s.owner limit 1)
  from owners o where o.owner is not null
), gone as (
  select o.owner from owners o
  where o.owner is not null
    and not exists (select from public.replicas r where r.boot = o.owner and r.reaped_at is null)
)
select n.app_id as "appId", n.status, n.owner
from gone cross join lateral (
  select s.app_id, s.status, s.owner from public.node_status s where s.owner = gone.owner and ${ATTACHED}
  limit $1::int4
) n
limit $1::int4`
}
