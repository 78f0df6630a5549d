/**
 * Kinds of log rows. Those of PROTOCOL §11 become tree events; `refused`
 * stays in the log only: a message that came after the end, as evidence without a seq, or the farewell (`disconnect`)
 * after a Result or Error, with its seq: that one is acked. A `disconnect` is a `result`, `error` or `cancelled` row with `data.disconnect` (its reason); the
 * `messages` view leaves it out. A crash is a `crash`, `lost_contact` or `start_failed` row with `data.crash_type` and
 * `data.gap_seconds`; the `crashes` view shows `crash` and `start_failed`.
 */
export type LogKind =
  | "scheduled"
  | "connected"
  | "status"
  | "result"
  | "error"
  | "crash"
  | "cancelled"
  | "start_failed"
  | "reconnecting"
  | "lost_contact"
  | "recovered"
  | "rebound"
  | "impostor"
  | "control"
  | "reparented"
  | "refused"

/** One row to append; its `n` is the write's expected n + 1 + its index. */
export interface LogEntry {
  readonly kind: LogKind
  readonly incarnation: number
  readonly seq: number | null
  readonly correlationId: string | null
  /** The child's frame, verbatim. Of `connected`, `recovered` and `rebound`: the server's `registered` frame. */
  readonly frame: string | null
  /** Exact JSON text of the payload. The store projects it to jsonb where Postgres can hold it, else null (PROTOCOL §3). */
  readonly payload: string | null
  /** base64, strict. */
  readonly bytes: string | null
  /** Small facts of ours about the row: reason, crash type, late_start … */
  readonly data: Readonly<Record<string, unknown>> | null
  readonly traceparent: string | null
}

/** A row as a reader gets it. */
export interface LogRow extends LogEntry {
  /** Commit-ordered (DESIGN §4): a reader's cursor is `id >`. */
  readonly id: number
  readonly appId: string
  readonly n: number
  readonly epoch: number
  readonly pathVersion: number
  /** Epoch milliseconds. */
  readonly createdAt: number
}
