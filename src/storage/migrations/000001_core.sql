-- Tables of the core (DESIGN §4) in `public`, together with the views of PROTOCOL §12; `control_queue` and `audit_log`
-- are their own read interface. The schema `trails` keeps what nobody reads: partitions, functions, bookkeeping.

create sequence public.node_log_id as int8;

-- Whole UTC days since 2025-01-01 (PROTOCOL §1), by the server's clock.
create function trails.start_day(at timestamptz) returns int4
  language sql immutable parallel safe
  return (at at time zone 'UTC')::date - date '2025-01-01';

-- A number out of self-reported JSON: whatever else is there becomes null, so that no row can break a view.
create function trails.int8_of(value jsonb) returns int8
  language sql immutable parallel safe
  return case
    when jsonb_typeof(value) = 'number' and value::numeric between -9223372036854775808 and 9223372036854775807
    then trunc(value::numeric)::int8
  end;

create function trails.float8_of(value jsonb) returns float8
  language sql immutable parallel safe
  return case
    when jsonb_typeof(value) = 'number' and abs(value::numeric) < 1e300 then round(value::numeric, 6)::float8
  end;

-- Facts of the birth, written once.
create table public.nodes (
  app_id uuid not null,
  start_day int4 not null,
  parent_id uuid,
  app_name text not null,
  namespace text not null,
  level text not null check (level in ('open', 'signed', 'encrypted', 'full')),
  envelope text,
  originator jsonb,
  role_refs jsonb not null,
  grants jsonb not null,
  tags jsonb,
  supervision jsonb not null,
  child_key text,
  ticket_hash text,
  traceparent text,
  start_deadline int8 not null,
  scheduled_at timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (app_id, start_day)
) partition by range (start_day);

create table trails.nodes_default partition of public.nodes default;

create table public.node_incarnations (
  app_id uuid not null,
  incarnation int4 not null,
  pub_key text not null,
  process_info jsonb not null,
  capabilities jsonb not null,
  valid_from timestamptz not null default now(),
  valid_to timestamptz,
  primary key (app_id, incarnation)
);

-- The current place of a node; `path` is root first and ends with the node itself.
create table public.node_tree (
  app_id uuid primary key,
  parent_id uuid,
  root_id uuid not null,
  path uuid[] not null check (cardinality(path) between 1 and 64 and path[cardinality(path)] = app_id),
  path_version int4 not null default 1,
  valid_from timestamptz not null default now()
);

create index node_tree_parent on public.node_tree (parent_id, app_id);
create index node_tree_root on public.node_tree (root_id);

-- Places that a node has left (re-parenting).
create table public.node_tree_history (
  app_id uuid not null,
  path_version int4 not null,
  parent_id uuid,
  root_id uuid not null,
  path uuid[] not null,
  valid_from timestamptz not null,
  valid_to timestamptz not null default now(),
  primary key (app_id, path_version)
);

-- The one hot row of a node and the global table of ids. Updates must stay HOT: columns that change with each message
-- are in no index, and pages keep room for the next version.
create table public.node_status (
  app_id uuid primary key,
  start_day int4 not null,
  epoch int8 not null,
  n int8 not null,
  write_id uuid not null,
  status text not null check (status in ('scheduled', 'connected', 'running', 'done', 'error', 'crashed', 'cancelled',
    'start_failed', 'reconnecting', 'lost_contact')),
  before text,
  owner uuid,
  session uuid,
  incarnation int4 not null,
  last_seq int8 not null,
  rebinds int4 not null,
  state_deadline_at timestamptz,
  connected_at timestamptz,
  disconnected_at timestamptz,
  updated_at timestamptz not null default now(),
  snapshot_seq int8,
  snapshot text,
  outcome jsonb
) with (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.05
);

create index node_status_due on public.node_status (state_deadline_at) where state_deadline_at is not null;
create index node_status_owner on public.node_status (owner, app_id)
  where owner is not null and status in ('connected', 'running');

-- Everything that happened to a node, append only, by the server's day of the append. The payload is a slice of the
-- frame wherever that is possible, so that its exact text is stored once; `payload` is its projection, null where jsonb
-- cannot hold it.
create table public.node_log (
  id int8 not null default nextval('public.node_log_id'),
  app_id uuid not null,
  n int8 not null,
  day int4 not null,
  epoch int8 not null,
  incarnation int4 not null,
  seq int8,
  path_version int4 not null,
  kind text not null,
  correlation_id text,
  frame text,
  payload_at int4,
  payload_length int4,
  payload_text text,
  payload jsonb,
  bytes bytea,
  data jsonb,
  traceparent text,
  created_at timestamptz not null default now(),
  primary key (app_id, n, day)
) partition by range (day);

alter sequence public.node_log_id owned by public.node_log.id;

create index node_log_order on public.node_log (id);
create index node_log_seq on public.node_log (app_id, incarnation, seq) where seq is not null;
create index node_log_crashes on public.node_log (id) where kind in ('crash', 'start_failed');

create table trails.node_log_default partition of public.node_log default;

-- Subtrees that take no births (a cascade's first act).
create table public.seals (
  app_id uuid primary key,
  operation uuid not null,
  reason text,
  sealed_at timestamptz not null default now()
);

create table public.control_queue (
  id int8 generated always as identity primary key,
  app_id uuid not null,
  correlation_id uuid not null unique,
  action text not null,
  payload text,
  issued_by text not null,
  idempotency_key text,
  traceparent text,
  operation uuid,
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null,
  incarnation int4,
  epoch int8,
  session uuid,
  delivered_at timestamptz,
  deliveries int4 not null default 0,
  answered_at timestamptz,
  ack boolean,
  result text,
  error text
);

create index control_queue_open on public.control_queue (app_id, id) where answered_at is null;
create index control_queue_expiry on public.control_queue (expires_at) where answered_at is null;
create unique index control_queue_idempotency on public.control_queue (app_id, issued_by, idempotency_key)
  where idempotency_key is not null;

create table public.audit_log (
  id int8 generated always as identity primary key,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  app_id uuid,
  decision text not null check (decision in ('allow', 'deny')),
  reason text not null,
  correlation_id text,
  data jsonb
);

create index audit_log_app on public.audit_log (app_id, id) where app_id is not null;

create function trails.refuse_change() returns trigger
  language plpgsql
  as $$
begin
  raise exception 'trails.% takes INSERT only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;

create trigger audit_log_insert_only before update or delete or truncate on public.audit_log
  for each statement execute function trails.refuse_change();

create table public.http_nonces (
  key_id text not null,
  nonce text not null,
  used_at timestamptz not null default now(),
  primary key (key_id, nonce)
);

create index http_nonces_used on public.http_nonces (used_at);

-- One row per boot. `reaped_at` is set once, by whoever saw the lease expired: from then on the boot may not renew.
create table public.replicas (
  boot uuid primary key,
  instance text not null,
  version text not null,
  started_at timestamptz not null default now(),
  renewed_at timestamptz not null default now(),
  expires_at timestamptz not null,
  reaped_at timestamptz
);

create table public.leases (
  duty text primary key,
  holder uuid,
  expires_at timestamptz not null,
  cursor int8 not null default 0
);
