import type { ClientConfig } from "pg"
import { decoderOf } from "./PgTypes.ts"

/** Time limits of the connection to Postgres, milliseconds. */
export interface PgLimits {
  readonly connect: number
  /** Waiting for a free connection of the pool. */
  readonly poolWait: number
  /** `statement_timeout` at the server; the client gives up `answerGrace` later, for a network that swallows answers. */
  readonly statement: number
  readonly answerGrace: number
  readonly idleInTransaction: number
  readonly ping: number
}

export const defaultLimits: PgLimits = {
  connect: 5_000,
  poolWait: 5_000,
  statement: 15_000,
  answerGrace: 3_000,
  idleInTransaction: 15_000,
  ping: 2_000
}

export const clientConfig = (url: string, limits: PgLimits): ClientConfig => ({
  connectionString: url,
  connectionTimeoutMillis: limits.connect,
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
  application_name: "trailsd",
  types: { getTypeParser: decoderOf as never }
})

/**
 * Sent first on each connection. Set here rather than in the connection string, so that a URL's own options and
 * connection poolers cannot undo it. `synchronous_commit` is raised from `off` only: an ack means durable (P1), and a
 * cluster may ask for more than `on`.
 */
const session = (limits: PgLimits): string => `
set timezone = 'UTC';
set datestyle = 'ISO';
set statement_timeout = ${limits.statement};
set lock_timeout = ${limits.statement};
set idle_in_transaction_session_timeout = ${limits.idleInTransaction};
set default_transaction_isolation = 'read committed';
set default_transaction_read_only = off;
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off';`

/**
 * Plans of prepared statements are made once, perhaps while the tables are still small, and live as long as the
 * connection; PGlite never analyses by itself either. All our statements want index probes at any size, so that nothing
 * else is offered to the planner.
 */
export const PLANNER = `
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set jit = off;`

export const poolSession = (limits: PgLimits): string => `${session(limits)}${PLANNER}`

/** A lane runs the append again and again: it is planned once. */
export const laneSession = (limits: PgLimits): string => `${poolSession(limits)}
set plan_cache_mode = force_generic_plan;`
