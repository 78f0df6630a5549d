import type { Statement } from "../Database.ts"

/** A page stays below this many bytes of frames, or is one row. */
const BUDGET = 256 * 1024

/** A page of what `rows` gives in the order of ids, with each node's place at that time. $3: limit. */
const page = (lead: string, rows: string): string => `
${lead} found as materialized (
  select l.*, count(*) over () as total, sum(coalesce(octet_length(l.frame), 0))
    over (order by l.id rows between unbounded preceding and 1 preceding) as before
  from (
    ${rows}
  ) l
)
select
  l.id, l.app_id as "appId", l.parent_id as "parentId", l.n, l.epoch, l.path_version as "pathVersion", l.kind,
  l.incarnation, l.seq, l.correlation_id as "correlationId", l.frame, l.data,
  coalesce(l.traceparent, d.traceparent) as traceparent,
  (extract(epoch from l.created_at) * 1000)::int8 as "createdAt",
  d.app_name as "appName", d.namespace, coalesce(h.root_id, t.root_id) as "rootId",
  to_jsonb(coalesce(h.path, t.path)) as path,
  l.total >= $3::int4 or l.total > count(*) over () as more
from found l
join public.node_status s on s.app_id = any (array[l.app_id])
join public.nodes d on d.app_id = any (array[l.app_id]) and d.start_day = s.start_day
join public.node_tree t on t.app_id = any (array[l.app_id])
left join public.node_tree_history h on h.app_id = any (array[l.app_id]) and h.path_version = l.path_version
where coalesce(l.before, 0) < ${BUDGET}
order by l.id`

/**
 * $1 ancestor, $2 id, $3 limit. `parents`: whose children's rows are read, each by one probe of `node_log_children` (per
 * partition) that ends at the limit, so that neither other nodes' rows nor what lies before the cursor is visited.
 */
const text = (parents: string): string =>
  page(
    `with recursive ${parents},`,
    `select l.*
    from parents p cross join lateral (
      select * from public.node_log l
      where l.parent_id = any (array[p.app_id]) and l.kind <> 'refused' and l.id > $2::int8
      order by l.parent_id, l.id limit $3::int4
    ) l
    order by l.id limit $3::int4`
  )

/** $1 node, $2 its own n, $3 limit. */
export const followOwn: Statement = {
  name: "log.own",
  text: page(
    "with",
    `select * from public.node_log l
    where l.app_id = $1::uuid and l.n > $2::int8 and l.kind <> 'refused'
    order by l.app_id, l.n limit $3::int4`
  )
}

/** $1 nothing, $2 id, $3 limit. */
export const followAll: Statement = {
  name: "log.all",
  text: page(
    "with",
    `select * from public.node_log l
    where $1::uuid is null and l.id > $2::int8 and l.kind <> 'refused'
    order by l.id limit $3::int4`
  )
}

export const followChildren: Statement = {
  name: "log.children",
  text: text("parents as (select $1::uuid as app_id)")
}

/**
 * $1 and those below it that are parents. Leaves have no children whose rows could be read: most of a tree's nodes are
 * dropped by one probe each.
 */
export const INNER_NODES = `parents(app_id) as (
  select $1::uuid
  union all
  select t.app_id
  from parents p join public.node_tree t on t.parent_id = any (array[p.app_id])
  where exists (select from public.node_tree c where c.parent_id = any (array[t.app_id]))
)`

export const followSubtree: Statement = { name: "log.subtree", text: text(INNER_NODES) }
