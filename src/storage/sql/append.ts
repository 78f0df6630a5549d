import type { Statement } from "../Database.ts"
import { ENDED_STATES } from "./endedStates.ts"
import { LOG_TURN } from "./locks.ts"
import { insertLog, LOG_RECORD } from "./logEntries.ts"

/**
 * The one compare-and-set (DESIGN §2), set-based. $1: array of `WriteRecord`, sorted by app_id. Answers the positions
 * of the writes that did not match.
 *
 * - A1 (fence): a row is moved only from the expected epoch and n; a concurrent change is waited for, and the condition
 *   is judged on the row as it is then.
 * - A2: log rows come from the rows that were moved, so that they are stored together or not at all.
 * - A3: the log's turn is taken after the row locks, and only if there is something to log.
 *
 * `= any (array[…])` cannot be hashed or merged: the join stays a probe of the primary key per write, in the order of
 * the writes (which is the lock order), also in a plan that was made while the table was small.
 */
const text = (besides: string): string => `
with w as materialized (
  select * from jsonb_to_recordset($1::jsonb) as w(
    i int4, app_id uuid, epoch0 int8, n0 int8, k int4, write_id uuid, path_version int4, parent_id uuid, status text, before text,
    owner uuid, session uuid, epoch int8, incarnation int4, last_seq int8, rebinds int4, keep boolean,
    deadline_in int8, snapshot_seq int8, snapshot text, judged boolean, outcome jsonb, identity jsonb,
    commands jsonb, capable jsonb, rows jsonb)
), node as (
  update public.node_status s set
    epoch = w.epoch,
    n = s.n + w.k,
    write_id = w.write_id,
    status = w.status,
    before = w.before,
    owner = w.owner,
    session = w.session,
    incarnation = w.incarnation,
    last_seq = w.last_seq,
    rebinds = w.rebinds,
    state_deadline_at = case when w.keep then s.state_deadline_at
      else now() + w.deadline_in * interval '1 millisecond' end,
    connected_at = case when w.session is not null and w.session is distinct from s.session then now()
      else s.connected_at end,
    disconnected_at = case when w.session is not null then null
      when s.session is not null then now() else s.disconnected_at end,
    updated_at = now(),
    ended_at = case when w.status not in (${ENDED_STATES}) then null
      when w.status = s.status then s.ended_at else now() end,
    snapshot_seq = coalesce(w.snapshot_seq, s.snapshot_seq),
    snapshot = coalesce(w.snapshot, s.snapshot),
    outcome = case when w.judged then w.outcome else s.outcome end
  from w
  where s.app_id = any (array[w.app_id]) and s.epoch = w.epoch0 and s.n = w.n0
  returning w.i, s.app_id, w.n0, s.epoch, s.session, s.incarnation, w.path_version, w.parent_id, w.identity, w.commands,
    w.capable, w.rows
)${besides}, turn as materialized (
  select ${LOG_TURN} from node having count(*) > 0
), logged as (
  ${insertLog(`from node cross join turn cross join lateral jsonb_to_recordset(node.rows) as l${LOG_RECORD}`)}
)
select i from w except select i from node`

/** The registration's part: the former key ends, the new one begins. */
const IDENTITIES = `, bound as (
  insert into public.node_incarnations (app_id, incarnation, pub_key, process_info, capabilities, cancel_grace_ms)
  select node.app_id, b.incarnation, b.pub_key, b.process_info, b.capabilities, b.cancel_grace_ms
  from node cross join lateral jsonb_to_record(node.identity) as b(
    incarnation int4, pub_key text, process_info jsonb, capabilities jsonb, cancel_grace_ms int4)
  where node.identity is not null
  returning app_id, incarnation
), ended as (
  update public.node_incarnations i set valid_to = now()
  from bound
  where i.app_id = any (array[bound.app_id]) and i.incarnation < bound.incarnation and i.valid_to is null
)`

/**
 * Of commands: that they were told to the node's session, or how they were answered. The first outcome stands: what has
 * been answered or has expired is left as it is. And what the present incarnation takes from now on. `coalesce`: no partial
 * index of open commands fits, so that a plan from a time when there were none does not walk through all of them.
 */
const CONTROL = `, marked as (
  update public.control_queue c set
    delivered_at = case when m.told then coalesce(c.delivered_at, now()) else c.delivered_at end,
    told_at = case when m.told then now() else c.told_at end,
    deliveries = c.deliveries + m.told::int4,
    session = case when m.told then node.session else c.session end,
    epoch = case when m.told then node.epoch else c.epoch end,
    incarnation = case when m.told then node.incarnation else c.incarnation end,
    answered_at = case when m.told then null else now() end,
    ack = m.ack,
    result = m.result,
    error = m.error
  from node cross join lateral jsonb_to_recordset(node.commands) as m(
    correlation_id uuid, told boolean, ack boolean, result text, error text)
  where c.correlation_id = any (array[m.correlation_id]) and c.app_id = node.app_id
    and coalesce(c.answered_at, 'infinity') = 'infinity' and (m.told or c.expires_at > now())
), capable as (
  update public.node_incarnations i set capabilities = a.capabilities, cancel_grace_ms = a.cancel_grace_ms
  from node cross join lateral jsonb_to_record(node.capable) as a(capabilities jsonb, cancel_grace_ms int4)
  where node.capable is not null and i.app_id = any (array[node.app_id]) and i.incarnation = node.incarnation
)`

export const append: Statement = { name: "node.append", text: text("") }

/** For a batch in which some write binds a key. */
export const appendBinding: Statement = { name: "node.append.binding", text: text(IDENTITIES) }

/** For a batch in which some write is about commands, or about what a node takes. */
export const appendControl: Statement = { name: "node.append.control", text: text(IDENTITIES + CONTROL) }
