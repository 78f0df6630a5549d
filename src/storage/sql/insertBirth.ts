import type { Statement } from "../Database.ts"
import { ENDED_STATES } from "./endedStates.ts"
import { LOG_TURN } from "./locks.ts"
import { insertLog, LOG_RECORD } from "./logEntries.ts"

/**
 * $1: one `BirthRecord`. Everything hangs on the row of `node_status`, the global table of ids: if it exists already
 * nothing is written and no row is answered.
 */
export const insertBirth: Statement = {
  name: "birth.insert",
  text: `
with b as materialized (
  select * from jsonb_to_record($1::jsonb) as b(
    app_id uuid, parent_id uuid, root_id uuid, path jsonb, app_name text, namespace text, level text, envelope text,
    originator jsonb, role_refs jsonb, grants jsonb, tags jsonb, supervision jsonb, child_key text, ticket_hash text,
    traceparent text, start_deadline int8, scheduled_at int8, write_id uuid, k int4, status text, before text,
    owner uuid, session uuid, epoch int8, incarnation int4, last_seq int8, rebinds int4, deadline_in int8,
    outcome jsonb, identity jsonb, rows jsonb)
), born as (
  insert into public.node_status (
    app_id, start_day, epoch, n, write_id, status, before, owner, session, incarnation, last_seq, rebinds,
    state_deadline_at, connected_at, ended_at, outcome)
  select
    b.app_id, trails.start_day(now()), b.epoch, b.k, b.write_id, b.status, b.before, b.owner, b.session, b.incarnation,
    b.last_seq, b.rebinds, now() + b.deadline_in * interval '1 millisecond',
    case when b.session is not null then now() end, case when b.status in (${ENDED_STATES}) then now() end, b.outcome
  from b
  on conflict (app_id) do nothing
  returning app_id, start_day
), facts as (
  insert into public.nodes (
    app_id, start_day, parent_id, app_name, namespace, level, envelope, originator, role_refs, grants, tags,
    supervision, child_key, ticket_hash, traceparent, start_deadline, scheduled_at)
  select
    b.app_id, born.start_day, b.parent_id, b.app_name, b.namespace, b.level, b.envelope, b.originator, b.role_refs,
    b.grants, b.tags, b.supervision, b.child_key, b.ticket_hash, b.traceparent, b.start_deadline,
    to_timestamp(b.scheduled_at / 1000.0)
  from b cross join born
), placed as (
  insert into public.node_tree (app_id, parent_id, root_id, path)
  select b.app_id, b.parent_id, b.root_id,
    array(select p.id::uuid from jsonb_array_elements_text(b.path) with ordinality as p(id, depth) order by p.depth)
  from b cross join born
), bound as (
  insert into public.node_incarnations (app_id, incarnation, pub_key, process_info, capabilities, cancel_grace_ms)
  select born.app_id, i.incarnation, i.pub_key, i.process_info, i.capabilities, i.cancel_grace_ms
  from b cross join born cross join lateral jsonb_to_record(b.identity) as i(
    incarnation int4, pub_key text, process_info jsonb, capabilities jsonb, cancel_grace_ms int4)
  where b.identity is not null
), turn as materialized (
  select ${LOG_TURN} from born having count(*) > 0
), node as materialized (
  select b.app_id, 0::int8 as n0, b.epoch, 1 as path_version, b.parent_id, b.rows from b cross join born
), logged as (
  ${insertLog(`from node cross join turn cross join lateral jsonb_to_recordset(node.rows) as l${LOG_RECORD}`)}
)
select app_id from born`
}
