-- The SQL read interface (PROTOCOL §12).

create view public.apps as
select
  s.app_id,
  t.parent_id,
  d.app_name,
  d.namespace,
  i.process_info ->> 'namespace' as pod_namespace,
  i.process_info ->> 'hostname' as pod_name,
  i.process_info ->> 'node_name' as node_name,
  i.process_info ->> 'pod_ip' as pod_ip,
  trails.int8_of(i.process_info -> 'pid') as pid,
  trails.int8_of(i.process_info -> 'ppid') as ppid,
  i.process_info ->> 'executable' as executable,
  trails.int8_of(i.process_info -> 'uid') as proc_uid,
  trails.int8_of(i.process_info -> 'gid') as proc_gid,
  i.process_info ->> 'user' as proc_user,
  d.originator ->> 'sub' as originator_sub,
  d.originator -> 'groups' as originator_groups,
  i.pub_key,
  s.status,
  trails.int8_of(i.process_info -> 'start_time') as start_time,
  s.connected_at,
  s.disconnected_at,
  r.instance as server_instance,
  d.role_refs,
  jsonb_build_object(
    'level', d.level,
    'tags', d.tags,
    'supervision', d.supervision,
    'capabilities', i.capabilities,
    'incarnation', s.incarnation,
    'epoch', s.epoch,
    'n', s.n,
    'last_seq', s.last_seq,
    'root_id', t.root_id,
    'path', to_jsonb(t.path),
    'outcome', s.outcome,
    'state_deadline_at', s.state_deadline_at
  ) as metadata_json,
  d.start_deadline,
  s.start_day,
  d.created_at,
  s.updated_at
from public.node_status s
join public.nodes d on d.app_id = s.app_id and d.start_day = s.start_day
join public.node_tree t on t.app_id = s.app_id
left join public.node_incarnations i on i.app_id = s.app_id and i.incarnation = s.incarnation
left join public.replicas r on r.boot = s.owner;

create view public.messages as
select
  l.id,
  l.app_id,
  case when l.frame is null then 'out' else 'in' end as direction,
  case l.kind when 'status' then 'Status' when 'result' then 'Result' when 'error' then 'Error' else 'Control' end
    as msg_type,
  l.seq,
  l.correlation_id,
  l.payload as payload_json,
  l.bytes as payload_bytes,
  l.created_at
from public.node_log l
-- A disconnect is an outcome, not a message.
where l.kind in ('status', 'result', 'error', 'control') and (l.data -> 'disconnect') is null;

create view public.snapshots as
select l.id, l.app_id, d.namespace, l.seq, l.payload as snapshot_json, l.created_at
from public.node_log l
join public.node_status s on s.app_id = l.app_id
join public.nodes d on d.app_id = s.app_id and d.start_day = s.start_day
where l.kind = 'status';

create view public.crashes as
select
  l.id,
  l.app_id,
  l.created_at as detected_at,
  l.data ->> 'crash_type' as crash_type,
  trails.float8_of(l.data -> 'gap_seconds') as gap_seconds,
  l.data as metadata_json
from public.node_log l
where l.kind in ('crash', 'start_failed');
