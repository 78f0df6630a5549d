import type { Statement } from "../Database.ts"

/** $1, $2, $3: ids or null. Rows are `NodeRow`s. Probes of keys only, as in `append`. */
export const readNodes: Statement = {
  name: "node.read",
  text: `
select
  s.app_id as "appId", t.parent_id as "parentId", t.root_id as "rootId", to_jsonb(t.path) as path,
  t.path_version as "pathVersion", d.app_name as "appName", d.namespace, d.level, d.supervision,
  d.child_key as "childKey", d.ticket_hash as "ticketHash", d.originator, d.role_refs as "roleRefs", d.grants, d.tags,
  s.start_day as "startDay", s.status, s.before, s.owner, s.session, s.epoch, s.incarnation, s.last_seq as "lastSeq",
  s.rebinds, s.n, s.write_id as "writeId",
  (extract(epoch from s.state_deadline_at) * 1000)::int8 as "deadlineAt",
  (extract(epoch from now()) * 1000)::int8 as "readAt",
  i.pub_key as "pubKey", s.outcome
from public.node_status s
join public.nodes d on d.app_id = any (array[s.app_id]) and d.start_day = s.start_day
join public.node_tree t on t.app_id = any (array[s.app_id])
left join public.node_incarnations i on i.app_id = any (array[s.app_id]) and i.incarnation = s.incarnation
where s.app_id in ($1::uuid, $2::uuid, $3::uuid)`
}
