import { CASCADE_OUTCOMES } from "../../CascadeStore.ts"
import type { Statement } from "../../Database.ts"
import { epochMs } from "../epochMs.ts"

const COUNTS = [
  ...["pending", "asked"].map((state) => `'${state}', count(*) filter (where n.state = '${state}')`),
  ...CASCADE_OUTCOMES.map((outcome) => `'${outcome}', count(*) filter (where n.outcome = '${outcome}')`)
].join(",\n      ")

/** Rows are `CascadeRow`s. */
const text = (which: string): string => `
select
  k.id, k.app_id as "appId", d.app_name as "appName", k.action, k.scope, k.origin, k.reason, k.grace_ms as "graceMs",
  k.deadline_ms as "deadlineMs", k.filter, k.issued_by as "issuedBy", ${epochMs("k.created_at")} as "createdAt",
  ${epochMs("k.finished_at")} as "finishedAt", k.levels, c.level, k.total, c.counts
from (${which}) k
join public.node_status s on s.app_id = any (array[k.app_id])
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
cross join lateral (
  select
    max(n.depth) filter (where n.state <> 'resolved') as level,
    jsonb_build_object(
      ${COUNTS}
    ) as counts
  from public.cascade_nodes n where n.operation = any (array[k.id])
) c
order by k.created_at desc, k.id desc`

/** $1 id. */
export const readCascade: Statement = {
  name: "cascade.read",
  text: text("select * from public.cascades where id = $1::uuid")
}

const after = `($2::uuid is null or (created_at, id) < (select created_at, id from public.cascades where id = $2::uuid))`

/** $1 node or null, $2 id of the last one before or null, $3 limit. */
export const listCascades: Statement = {
  name: "cascade.list",
  text: text(`select * from public.cascades
    where ($1::uuid is null or app_id = $1::uuid) and ${after}
    order by created_at desc, id desc limit $3::int4`)
}

/** $1 operation, $2 outcome or null, $3 depth and $4 id of the last one before or null, $5 limit. */
export const cascadeNodes: Statement = {
  name: "cascade.nodes",
  text: `
select
  n.app_id as "appId", t.parent_id as "parentId", d.app_name as "appName", n.depth, s.status, n.state, n.outcome,
  n.grace_ms as "graceMs", n.correlation_id as "correlationId", ${epochMs("n.asked_at")} as "askedAt",
  ${epochMs("c.delivered_at")} as "deliveredAt", ${epochMs("n.resolved_at")} as "resolvedAt"
from (
  select * from public.cascade_nodes
  where operation = $1::uuid and ($2::text is null or outcome = $2::text)
    and ($3::int4 is null or depth < $3::int4 or (depth = $3::int4 and app_id > $4::uuid))
  order by operation, depth desc, app_id limit $5::int4
) n
join public.node_status s on s.app_id = any (array[n.app_id])
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
join public.node_tree t on t.app_id = any (array[s.app_id])
left join public.control_queue c on c.correlation_id = any (array[n.correlation_id])
order by n.depth desc, n.app_id`
}
