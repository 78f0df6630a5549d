-- How many operations an issuer has under way about a node is looked at before the next one begins.
create index cascades_open on public.cascades (app_id, issued_by) where finished_at is null;

-- When the present session was told; `delivered_at` is when the first one was.
alter table public.control_queue add column told_at timestamptz;
