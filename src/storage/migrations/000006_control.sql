-- Commands and cascades (PROTOCOL §8). What a cancel hook may need, as the node itself says.
alter table public.node_incarnations add column cancel_grace_ms int4;

-- Whose key signs a request (PROTOCOL §9).
create index node_incarnations_key on public.node_incarnations (pub_key) where valid_to is null;

-- One row per operation. `grace_ms` is what each node gets at most, `margin_ms` what an answer may take beyond it.
create table public.cascades (
  id uuid primary key,
  app_id uuid not null,
  action text not null,
  payload text,
  scope text not null check (scope in ('node', 'tree', 'dependents', 'siblings')),
  origin uuid,
  reason text not null,
  grace_ms int4 not null,
  margin_ms int4 not null,
  deadline_ms int4,
  filter jsonb,
  issued_by text not null,
  idempotency_key text,
  traceparent text,
  levels int4 not null,
  total int4 not null,
  created_at timestamptz not null default now(),
  started_at timestamptz not null default now(),
  finished_at timestamptz
);

create index cascades_running on public.cascades (created_at, id) where finished_at is null;
create index cascades_app on public.cascades (app_id, created_at, id);
create unique index cascades_idempotency on public.cascades (app_id, issued_by, idempotency_key)
  where idempotency_key is not null;

-- The plan and its progress: `depth` counts from the node that the operation is about, the deepest are asked first.
create table public.cascade_nodes (
  operation uuid not null,
  app_id uuid not null,
  depth int4 not null,
  state text not null check (state in ('pending', 'asked', 'resolved')),
  outcome text check (outcome in ('acked', 'refused', 'forced', 'unreachable', 'already_terminal')),
  grace_ms int4 not null,
  correlation_id uuid,
  asked_at timestamptz,
  resolved_at timestamptz,
  primary key (operation, app_id),
  check ((state = 'resolved') = (outcome is not null))
);

create index cascade_nodes_open on public.cascade_nodes (operation, depth, app_id) where state <> 'resolved';
create index cascade_nodes_level on public.cascade_nodes (operation, depth desc, app_id);

-- What exit policies are about.
create index node_log_ends on public.node_log (id)
  where kind in ('result', 'error', 'cancelled', 'crash', 'start_failed', 'lost_contact');

-- A control row is what the server has sent, unless it holds what the child has said.
create or replace view public.messages as
select
  l.id,
  l.app_id,
  case
    when l.frame is null then 'out'
    when l.kind = 'control' and (l.data -> 'outcome') is null and (l.data -> 'disconnect') is null
      and (l.data -> 'msg_type') is null then 'out'
    else 'in'
  end as direction,
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

-- One partition a call, and so a transaction: who makes several holds the default partition of one table while it waits
-- for the other's, and a birth, which writes into both, waits the other way round. Answers how many it made: 0 when none
-- is missing, and then it takes no lock on any table. Side by side calls wait for each other.
create or replace function trails.make_partitions(ahead int4) returns int4
  language plpgsql
  as $$
declare
  today int4 := trails.start_day(now());
begin
  if not exists (
    select from generate_series(today, today + ahead) d
    where to_regclass(format('trails.%I', 'node_log_' || lpad(d::text, 5, '0'))) is null
      or to_regclass(format('trails.%I', 'nodes_' || lpad((d - d % 28)::text, 5, '0'))) is null
  ) then
    return 0;
  end if;
  perform pg_advisory_xact_lock(8432071, 2);
  for d in today .. today + ahead loop
    if trails.make_partition('node_log', 'day', d, d + 1)
      or trails.make_partition('nodes', 'start_day', d - d % 28, d - d % 28 + 28) then
      return 1;
    end if;
  end loop;
  return 0;
end
$$;
