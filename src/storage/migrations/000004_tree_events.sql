-- Whoever watches its children reads the log by parent, in commit order (PROTOCOL §11). The parent is the one of the
-- row's path version: a node that moves takes its future along, not its past.
alter table public.node_log add column parent_id uuid;

update public.node_log l set parent_id = t.parent_id
from public.node_tree t
where t.app_id = l.app_id and t.parent_id is not null;

create index node_log_children on public.node_log (parent_id, id) where parent_id is not null and kind <> 'refused';
