import pg from "pg"
import { type Cause, Duration, Effect, Layer, Redacted, Schedule } from "effect"
import { type Connection, Database, type Row, type Statement, type Transaction } from "./Database.ts"
import { isUndone, toStoreError } from "./PgError.ts"
import { PgLink, runStatement } from "./PgLink.ts"
import { clientConfig, defaultLimits, laneSession, type PgLimits, poolSession } from "./PgSession.ts"
import { StoreError } from "./StoreError.ts"

export interface PostgresOptions {
  readonly url: Redacted.Redacted<string>
  /** Dedicated connections for the storage writers. */
  readonly lanes?: number
  /** Connections for everything else. */
  readonly pool?: number
  readonly limits?: Partial<PgLimits>
}

const again = Schedule.exponential("5 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

const checkUrl = (url: string): Effect.Effect<void, StoreError> =>
  /^postgres(?:ql)?:\/\//.test(url) && URL.canParse(url)
    ? Effect.void
    : Effect.fail(
        new StoreError({
          reason: "Refused",
          operation: "connect",
          message:
            "DATABASE_URL is not a URL like postgres://user:password@host:5432/database: correct it, " +
            "or unset it to use the embedded database"
        })
      )

const connectionOf = (client: pg.ClientBase, limits: PgLimits): Connection => ({
  query: (statement, params) =>
    Effect.callback<ReadonlyArray<Row>, StoreError>((resume) =>
      runStatement(client, limits, statement, params, (error, rows) =>
        resume(error === null ? Effect.succeed(rows) : Effect.fail(error))
      )
    )
})

interface Slot {
  readonly connection: Connection
  /** Sends without waiting: what follows is answered after it, and tells when the connection is gone. */
  readonly send: (statement: Statement) => void
  /** Gives the connection back, or closes it when what it is in the middle of is not known. */
  readonly release: (broken: boolean) => void
}

const slotOf = (pool: pg.Pool, limits: PgLimits, operation: string): Effect.Effect<Slot, StoreError> =>
  Effect.callback<Slot, StoreError>((resume) => {
    let gone = false
    pool.connect((error, client, done) => {
      if (error !== undefined || client === undefined) return resume(Effect.fail(toStoreError(operation, error)))
      if (gone) return done()
      resume(
        Effect.succeed({
          connection: connectionOf(client, limits),
          send: (statement) => runStatement(client, limits, statement, [], () => undefined),
          release: (broken) => done(broken)
        })
      )
    })
    return Effect.sync(() => {
      gone = true
    })
  })

const script = (text: string) => ({ name: "", text })
const BEGIN = script("begin isolation level read committed")
const COMMIT = script("commit")
const ROLLBACK = script("rollback")

/** Only the server's refusal tells that the connection itself is sound. */
const isSound = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.every(
    (reason) =>
      reason._tag === "Fail" &&
      (!(reason.error instanceof StoreError) || reason.error.reason === "Refused" || isUndone(reason.error))
  )

const transactionOf = (slot: Slot) => {
  let committed = false
  const transaction: Transaction = {
    query: slot.connection.query,
    commitWith: (statement, params) =>
      Effect.all([slot.connection.query(statement, params), slot.connection.query(COMMIT, [])], {
        concurrency: "unbounded"
      }).pipe(
        Effect.map(([rows]) => {
          committed = true
          return rows
        })
      )
  }
  return { transaction, commit: Effect.suspend(() => (committed ? Effect.void : slot.connection.query(COMMIT, []))) }
}

/** BEGIN, `body`, COMMIT on one connection; called uninterruptible, `restore` lets the work itself be interrupted. */
const transactionOn = <A, E, R>(
  slot: Slot,
  body: (transaction: Transaction) => Effect.Effect<A, E, R>,
  restore: <B, F, S>(effect: Effect.Effect<B, F, S>) => Effect.Effect<B, F, S>
): Effect.Effect<A, E | StoreError, R> =>
  restore(
    Effect.suspend(() => {
      slot.send(BEGIN)
      const { commit, transaction } = transactionOf(slot)
      return Effect.tap(body(transaction), () => commit)
    })
  ).pipe(
    Effect.tap(() => Effect.sync(() => slot.release(false))),
    Effect.onError((cause) =>
      isSound(cause)
        ? slot.connection
            .query(ROLLBACK, [])
            .pipe(Effect.match({ onSuccess: () => slot.release(false), onFailure: () => slot.release(true) }))
        : Effect.sync(() => slot.release(true))
    )
  )

/** `Database` on a Postgres server, 15 or later. */
export const layer = (options: PostgresOptions): Layer.Layer<Database, StoreError> =>
  Layer.effect(
    Database,
    Effect.gen(function* () {
      const url = Redacted.value(options.url)
      yield* checkUrl(url)
      const limits: PgLimits = { ...defaultLimits, ...options.limits }
      // The pool waits for it, although its type does not say so.
      const prepare = async (client: pg.ClientBase) => {
        // A connection that breaks while it is in use tells its user by the statement; without a listener the event
        // would end the process.
        client.on("error", () => undefined)
        const session = { text: poolSession(limits), query_timeout: limits.connect }
        await client.query(session)
      }
      const pool = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const made = new pg.Pool({
            ...clientConfig(url, limits),
            pipeline: true,
            max: options.pool ?? 8,
            connectionTimeoutMillis: limits.poolWait,
            idleTimeoutMillis: 60_000,
            onConnect: prepare as (client: pg.ClientBase) => void
          })
          // An idle connection was lost: the pool has dropped it, the next call opens another.
          made.on("error", () => undefined)
          return made
        }),
        (made) => Effect.promise(() => made.end().catch(() => undefined))
      )
      const link = (session: string) =>
        Effect.acquireRelease(
          Effect.sync(() => new PgLink(url, limits, session)),
          (made) => Effect.promise(() => made.close())
        )
      const lanes = yield* Effect.forEach(Array.from({ length: options.lanes ?? 4 }), () => link(laneSession(limits)))
      const probe = yield* link(poolSession(limits))
      return {
        kind: "postgres",
        lanes,
        query: (statement, params) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(restore(slotOf(pool, limits, statement.name)), (slot) =>
              restore(slot.connection.query(statement, params)).pipe(
                Effect.onExit((exit) =>
                  Effect.sync(() => slot.release(exit._tag === "Failure" && !isSound(exit.cause)))
                )
              )
            )
          ),
        transaction: (operation, body) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(restore(slotOf(pool, limits, operation)), (slot) => transactionOn(slot, body, restore))
          ).pipe(Effect.retry({ schedule: again, while: isUndone })),
        ping: probe.query({ name: "ping", text: "select 1" }, []).pipe(
          Effect.timeoutOrElse({
            duration: Duration.millis(limits.ping),
            orElse: () => Effect.fail(toStoreError("ping", new Error("Query read timeout")))
          }),
          Effect.asVoid
        )
      }
    })
  )
