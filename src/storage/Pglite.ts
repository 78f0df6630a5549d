import { Duration, Effect, Layer, Schedule } from "effect"
import { type Connection, Database, type Transaction } from "./Database.ts"
import { isUndone, toStoreError } from "./PgError.ts"
import { PgliteThread } from "./PgliteThread.ts"
import type { StoreError } from "./StoreError.ts"
import { Turnstile } from "./Turnstile.ts"

export interface PgliteOptions {
  /** Must be locked by the caller: PGlite takes no lock of its own. null: in memory, for tests. */
  readonly folder: string | null
}

const script = (text: string) => ({ name: "", text })
const BEGIN = script("begin isolation level read committed")
const COMMIT = script("commit")
const ROLLBACK = script("rollback")
const PING_LIMIT = Duration.seconds(5)
const again = Schedule.spaced("5 millis").pipe(Schedule.upTo({ times: 4 }))

const transactionOn = <A, E, R>(
  thread: PgliteThread,
  body: (transaction: Transaction) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | StoreError, R> => {
  let committed = false
  const query: Connection["query"] = (statement, params) => thread.query(statement, params)
  const commit = Effect.suspend(() => {
    if (committed) return Effect.void
    committed = true
    return thread.query(COMMIT, [])
  })
  const transaction: Transaction = {
    query,
    commitWith: (statement, params) => Effect.tap(query(statement, params), () => commit)
  }
  return thread.query(BEGIN, []).pipe(
    Effect.andThen(body(transaction)),
    Effect.tap(() => commit),
    // The thread answers in order: a statement that was interrupted is over before this one begins.
    Effect.onError(() => Effect.ignore(thread.query(ROLLBACK, [])))
  )
}

/**
 * `Database` embedded: Postgres as WebAssembly in a worker thread. It has one session, so that everything passes one
 * turnstile and a transaction keeps it until its end. Holds against process death, not against power loss (DESIGN §4).
 */
export const layer = (options: PgliteOptions): Layer.Layer<Database, StoreError> =>
  Layer.effect(
    Database,
    Effect.gen(function* () {
      const thread = yield* Effect.acquireRelease(
        Effect.sync(() => new PgliteThread(options.folder)),
        (made) => Effect.promise(() => made.close())
      )
      yield* thread.started
      const turnstile = new Turnstile()
      const query: Database["Service"]["query"] = (statement, params) => turnstile.pass(thread.query(statement, params))
      return {
        kind: "pglite",
        query,
        lanes: [{ query }],
        transaction: (_operation, body) =>
          turnstile
            .pass(Effect.suspend(() => transactionOn(thread, body)))
            .pipe(Effect.retry({ schedule: again, while: isUndone })),
        ping: query({ name: "ping", text: "select 1" }, []).pipe(
          Effect.timeoutOrElse({
            duration: PING_LIMIT,
            orElse: () => Effect.fail(toStoreError("ping", new Error("Query read timeout")))
          }),
          Effect.asVoid
        )
      }
    })
  )
