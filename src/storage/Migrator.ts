import { Data, Effect, Schedule } from "effect"
import { type Connection, Database, type Statement } from "./Database.ts"
import { bundledMigrations, type Migration } from "./Migration.ts"
import { type Applied, hindrance, type LivingReplica, misfit } from "./SchemaFit.ts"
import { StoreError } from "./StoreError.ts"

/** The database and this code do not fit together; the message says what to do. */
export class MigrationError extends Data.TaggedError("MigrationError")<{ readonly message: string }> {}

// No time limit: another process may be in the middle of a long migration. The lock makes first starts side by side
// wait for each other, `create schema if not exists` included. The column is younger than the table.
const open: Statement = {
  name: "",
  unlimited: true,
  text: `
set local statement_timeout = 0;
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = 0;
select pg_advisory_xact_lock(8432071, 0);
create schema if not exists trails;
create table if not exists trails.migrations (
  number int4 primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null default now(),
  requires int4
);
do $$
begin
  if not exists (
    select from pg_attribute where attrelid = 'trails.migrations'::regclass and attname = 'requires' and not attisdropped
  ) then
    alter table trails.migrations add column requires int4;
  end if;
end
$$`
}

const applied = {
  name: "migrations.applied",
  text: "select number, name, checksum, requires from trails.migrations order by number"
}

const record = {
  name: "migrations.record",
  text: "insert into trails.migrations (number, name, checksum, requires) values ($1, $2, $3, $4)"
}

const living = {
  name: "migrations.living",
  text: "select instance, version, schema from public.replicas where reaped_at is null and expires_at > now() order by 1"
}

export interface Patience {
  /** How long a statement waits for a lock, how long until it is tried again, and how often, milliseconds. */
  readonly lockMs: number
  readonly pauseMs: number
  readonly times: number
}

/**
 * What waits for a table's lock makes everybody wait who comes behind it: nodes' reports on a replica that serves. So it
 * gives up soon, lets them pass, and asks again.
 */
const PATIENCE: Patience = { lockMs: 2000, pauseMs: 1000, times: 30 }

/** The migration that gave `replicas` its column `schema`. */
const REPLICA_SCHEMAS = 10

const LOCK_NOT_AVAILABLE = "55P03"
const isLockedOut = (error: unknown): boolean => error instanceof StoreError && error.code === LOCK_NOT_AVAILABLE

const refuse = (message: string | null): Effect.Effect<void, MigrationError> =>
  message === null ? Effect.void : Effect.fail(new MigrationError({ message }))

const step = (known: ReadonlyArray<Migration>, kind: Database["Service"]["kind"], lockMs: number) =>
  Effect.fnUntraced(function* (connection: Connection) {
    yield* connection.query(open, [])
    const found = (yield* connection.query(applied, [])) as ReadonlyArray<unknown> as ReadonlyArray<Applied>
    yield* refuse(misfit(known, found))
    const next = known.find((migration) => !found.some((row) => row.number === migration.number))
    if (next === undefined) return false
    // The embedded database's folder is locked: whoever else is in its table is dead.
    if (kind === "postgres" && found.some(({ number }) => number >= REPLICA_SCHEMAS)) {
      const replicas = (yield* connection.query(living, [])) as ReadonlyArray<unknown> as ReadonlyArray<LivingReplica>
      yield* refuse(hindrance(next, replicas))
    }
    yield* connection.query({ name: "", text: `set local lock_timeout = ${lockMs}` }, [])
    yield* connection.query({ name: "", text: next.text, unlimited: true }, [])
    yield* connection.query(record, [next.number, next.name, next.checksum, next.requires])
    return true
  })

const remedy = new MigrationError({
  message:
    "a table that has to be changed was locked by others all the time. Nothing was changed. Look for long transactions " +
    "(pg_stat_activity: xact_start; a backup, a report), end them or wait for them, and start this trailsd again"
})

/**
 * Applies what is missing, each migration in a transaction of its own; any number of processes may do so at once, and
 * replicas of the version before may be at work.
 */
export const migrate = (
  known: ReadonlyArray<Migration> = bundledMigrations(),
  { lockMs, pauseMs, times }: Patience = PATIENCE
): Effect.Effect<void, StoreError | MigrationError, Database> =>
  Effect.gen(function* () {
    const database = yield* Database
    const one = database.transaction("migrate", step(known, database.kind, lockMs)).pipe(
      Effect.tapError((error) =>
        isLockedOut(error)
          ? Effect.logWarning("waiting for a table that has to be changed: others use it")
          : Effect.void
      ),
      Effect.retry({ while: isLockedOut, schedule: Schedule.spaced(pauseMs), times }),
      Effect.mapError((error) => (isLockedOut(error) ? remedy : error))
    )
    let more = true
    while (more) more = yield* one
  })
