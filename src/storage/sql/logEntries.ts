/** Members of one log row in a parameter (`LogRecord`), as a column definition list. */
export const LOG_RECORD = `(
    i int4, kind text, incarnation int4, seq int8, correlation_id text, frame text, at int4, length int4, text text,
    project boolean, bytes text, data jsonb, traceparent text)`

/**
 * INSERT into the log from `from`, which yields `node(app_id, n0, epoch, path_version, parent_id)` and rows `l`. The id is
 * drawn by the column's default: above the join with the log's turn, hence under the lock.
 */
export const insertLog = (from: string): string => `insert into public.node_log (
      app_id, parent_id, n, day, epoch, incarnation, seq, path_version, kind, correlation_id, frame, payload_at, payload_length,
      payload_text, payload, bytes, data, traceparent)
    select
      node.app_id, node.parent_id, node.n0 + l.i, trails.start_day(now()), node.epoch, l.incarnation, l.seq, node.path_version, l.kind,
      l.correlation_id, l.frame, l.at, l.length, l.text,
      case when l.project then coalesce(substr(l.frame, l.at, l.length), l.text)::jsonb end,
      decode(l.bytes, 'base64'), l.data, l.traceparent
    ${from}
    order by node.app_id, l.i`

/** Columns of a `LogRow`. */
export const LOG_COLUMNS = `
  id, app_id as "appId", n, epoch, path_version as "pathVersion", kind, incarnation, seq,
  correlation_id as "correlationId", frame, coalesce(substr(frame, payload_at, payload_length), payload_text) as payload,
  translate(encode(bytes, 'base64'), E'\\n', '') as bytes, data, traceparent,
  (extract(epoch from created_at) * 1000)::int8 as "createdAt"`
