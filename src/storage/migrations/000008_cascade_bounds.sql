-- How many operations an issuer has under way about a node is looked at before the next one begins.
create index cascades_open on public.cascades (app_id, issued_by) where finished_at is null;

-- When the present session was told; `delivered_at` is when the first one was.
alter table public.control_queue add column told_at timestamptz;

-- Ends from before there were exit policies have no consequences any more: who has never read them begins here.
insert into public.leases (duty, expires_at, cursor)
select 'exit-policies', now(), coalesce(max(id), 0) from public.node_log
on conflict (duty) do nothing;
