-- Since when a node has been in the state in which it ended, or was given up; null in every other state.
alter table public.node_status add column ended_at timestamptz;

update public.node_status set ended_at = updated_at
where status in ('done', 'error', 'cancelled', 'start_failed', 'crashed', 'lost_contact');

-- Siblings by birth, and roots newest first.
create index node_tree_birth on public.node_tree (parent_id, valid_from, app_id);
