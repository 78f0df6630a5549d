import type { Statement } from "../Database.ts"
import { COUNTED, TREE_PAYLOAD, TREE_PAYLOADS } from "../TreeQueries.ts"

/**
 * $1 node, $2 levels below it, $3 limit. The walk goes from node to node, each step one probe of `node_tree_birth`, and
 * ends one node beyond the limit: however large the tree or one family is, no more of it is read. A row of the walk is a
 * visit of the last of `ids`, or says that everything below that one has been visited. `offset 0`: else the planner puts
 * the probe in for each mention of its result.
 */
export const treeView: Statement = {
  name: "tree.view",
  text: `
with recursive top as materialized (
  select t.app_id, t.root_id, cardinality(t.path) as height from public.node_tree t where t.app_id = $1::uuid
), walk(at, ids, visit) as (
  select 1, array[top.app_id], true from top
  union all
  select
    w.at + (next.id is not null)::int4,
    case
      when next.id is null then case when w.visit then w.ids else trim_array(w.ids, 1) end
      when w.visit then w.ids || next.id
      else trim_array(w.ids, 1) || next.id
    end,
    next.id is not null
  from walk w cross join lateral (
    select case
      when w.visit and cardinality(w.ids) > $2::int4 then null
      when w.visit then (
        select c.app_id from public.node_tree c
        where c.parent_id = any (array[w.ids[cardinality(w.ids)]])
        order by c.parent_id, c.valid_from, c.app_id limit 1
      )
      when cardinality(w.ids) > 1 then (
        select c.app_id
        from public.node_tree own cross join lateral (
          select c.app_id from public.node_tree c
          where c.parent_id = any (array[w.ids[cardinality(w.ids) - 1]])
            and (c.valid_from, c.app_id) > (own.valid_from, own.app_id)
          order by c.parent_id, c.valid_from, c.app_id limit 1
        ) c
        where own.app_id = any (array[w.ids[cardinality(w.ids)]])
      )
    end as id
    offset 0
  ) next
  where w.at <= $3::int4 and (w.visit or cardinality(w.ids) > 1)
), seen as materialized (
  select w.at, w.ids[cardinality(w.ids)] as app_id, cardinality(w.ids) - 1 as depth from walk w where w.visit
), sized as (
  select
    v.at, v.depth, s.*, octet_length(s.snapshot) as snapshot_bytes,
    octet_length(s.outcome ->> 'payload') as payload_bytes,
    sum(coalesce(octet_length(s.snapshot), 0) + coalesce(octet_length(s.outcome ->> 'payload'), 0))
      over (order by v.at) as filled
  from seen v join public.node_status s on s.app_id = any (array[v.app_id])
  where v.at <= $3::int4
)
select
  s.app_id as "appId", t.parent_id as "parentId", s.depth, d.app_name as "appName", d.namespace, d.level, d.tags,
  s.status,
  case when s.snapshot_bytes <= ${TREE_PAYLOAD} and s.filled <= ${TREE_PAYLOADS} then s.snapshot end as snapshot,
  s.snapshot_bytes as "snapshotBytes",
  s.outcome - 'payload' as outcome,
  case when s.payload_bytes <= ${TREE_PAYLOAD} and s.filled <= ${TREE_PAYLOADS} then s.outcome ->> 'payload' end
    as payload,
  s.payload_bytes as "payloadBytes",
  (extract(epoch from d.created_at) * 1000)::int8 as "createdAt",
  (extract(epoch from i.valid_from) * 1000)::int8 as "startedAt",
  (extract(epoch from s.connected_at) * 1000)::int8 as "connectedAt",
  (extract(epoch from s.disconnected_at) * 1000)::int8 as "disconnectedAt",
  (extract(epoch from s.ended_at) * 1000)::int8 as "endedAt",
  (extract(epoch from s.state_deadline_at) * 1000)::int8 as "deadlineAt",
  i.process_info ->> 'hostname' as hostname, i.process_info ->> 'node_name' as "nodeName",
  trails.int8_of(i.process_info -> 'pid') as pid, i.process_info ->> 'executable' as executable,
  case when (select max(v.at) from seen v) > $3::int4 then (
    select count(*) from (
      select from top join public.node_tree c on c.root_id = top.root_id
      where c.path[top.height] = top.app_id and cardinality(c.path) - top.height <= $2::int4
      limit ${COUNTED}
    ) counted
  ) end as total,
  coalesce((select l.id from public.node_log l order by l.id desc limit 1), 0) as cursor
from sized s
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
join public.node_tree t on t.app_id = any (array[s.app_id])
left join public.node_incarnations i on i.app_id = any (array[s.app_id]) and i.incarnation = s.incarnation
order by s.at`
}
