import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { Data, Effect } from "effect"
import { type Connection, Database, type Statement } from "./Database.ts"
import type { StoreError } from "./StoreError.ts"

export interface Migration {
  readonly number: number
  readonly name: string
  readonly text: string
  /** SHA-256 of the text, hex. */
  readonly checksum: string
}

/** The database and this code do not fit together; the message says what to do. */
export class MigrationError extends Data.TaggedError("MigrationError")<{ readonly message: string }> {}

const FILE = /^(\d{6})_([a-z0-9_]+)\.sql$/

/** Reads `NNNNNN_name.sql`, in order. */
export const migrationsIn = (folder: URL): ReadonlyArray<Migration> =>
  readdirSync(folder)
    .flatMap((file) => {
      const match = FILE.exec(file)
      if (match === null) return []
      const text = readFileSync(new URL(file, folder), "utf8").replaceAll("\r\n", "\n")
      return [
        {
          number: Number(match[1]),
          name: match[2]!,
          text,
          checksum: createHash("sha256").update(text).digest("hex")
        }
      ]
    })
    .sort((a, b) => a.number - b.number)

export const bundledMigrations = (): ReadonlyArray<Migration> => migrationsIn(new URL("./migrations/", import.meta.url))

// No time limit: another process may be in the middle of a long migration. The lock makes first starts side by side
// wait for each other, `create schema if not exists` included.
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
  applied_at timestamptz not null default now()
)`
}

const applied = {
  name: "migrations.applied",
  text: "select number, name, checksum from trails.migrations order by number"
}

const record = {
  name: "migrations.record",
  text: "insert into trails.migrations (number, name, checksum) values ($1, $2, $3)"
}

interface Applied {
  readonly number: number
  readonly name: string
  readonly checksum: string
}

const check = (known: ReadonlyArray<Migration>, found: ReadonlyArray<Applied>): MigrationError | null => {
  const newest = known.at(-1)?.number ?? 0
  const newer = found.find((row) => row.number > newest)
  if (newer !== undefined) {
    return new MigrationError({
      message:
        `the database is newer than this trailsd: it has migration ${newer.number} (${newer.name}), this version ` +
        `knows up to ${newest}. Start the newer trailsd, or restore a backup of before its upgrade`
    })
  }
  for (const row of found) {
    const own = known.find((migration) => migration.number === row.number)
    if (own?.checksum !== row.checksum) {
      return new MigrationError({
        message:
          `migration ${row.number} (${row.name}) in the database is not the one of this trailsd: the database ` +
          "belongs to another build. Start that build, or give this one a database of its own"
      })
    }
  }
  return null
}

const step = (known: ReadonlyArray<Migration>) =>
  Effect.fnUntraced(function* (connection: Connection) {
    yield* connection.query(open, [])
    const found = (yield* connection.query(applied, [])) as ReadonlyArray<unknown> as ReadonlyArray<Applied>
    const misfit = check(known, found)
    if (misfit !== null) return yield* misfit
    const next = known.find((migration) => !found.some((row) => row.number === migration.number))
    if (next === undefined) return false
    yield* connection.query({ name: "", text: next.text, unlimited: true }, [])
    yield* connection.query(record, [next.number, next.name, next.checksum])
    return true
  })

/** Applies what is missing, each migration in a transaction of its own; any number of processes may do so at once. */
export const migrate = (
  known: ReadonlyArray<Migration> = bundledMigrations()
): Effect.Effect<void, StoreError | MigrationError, Database> =>
  Effect.gen(function* () {
    const database = yield* Database
    let more = true
    while (more) more = yield* database.transaction("migrate", step(known))
  })
