import { Context, type Effect } from "effect"
import type { StoreError } from "./StoreError.ts"

export type Row = Readonly<Record<string, unknown>>

/**
 * A named statement. Its name is stable, so that the server prepares it once per connection. With an empty name it is
 * a script without parameters: sent as it is, possibly many statements, the last one's rows are the answer.
 */
export interface Statement {
  readonly name: string
  readonly text: string
  /** A script that may take as long as it takes (a migration): no time limit of the client's. */
  readonly unlimited?: true
}

export interface Connection {
  readonly query: (
    statement: Statement,
    params: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<Row>, StoreError>
}

export interface Transaction extends Connection {
  /**
   * The transaction's last statement and its COMMIT in one go, for one that takes a lock which others wait for: no
   * round trip lies between them. Nothing may follow.
   */
  readonly commitWith: Connection["query"]
}

/**
 * Where SQL goes: `pg` (`Postgres.ts`) or PGlite in a worker thread (`Pglite.ts`). Single statements and one-shot
 * transaction functions only, SQL of Postgres 15 (DESIGN §4), so that both are honest adapters.
 */
export class Database extends Context.Service<
  Database,
  Connection & {
    readonly kind: "postgres" | "pglite"
    /**
     * BEGIN, `body`, COMMIT; ROLLBACK when it fails or is interrupted. `body` may await nothing but its own queries: on
     * PGlite everything else waits meanwhile. 40P01 and 40001 run `body` again, at most 5 times.
     */
    readonly transaction: <A, E, R>(
      operation: string,
      body: (transaction: Transaction) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | StoreError, R>
    /** Dedicated connections for the storage writers, in lane order; one lane on PGlite. */
    readonly lanes: ReadonlyArray<Connection>
    /** Round trip with a limit of its own; fails fast when the server is away. */
    readonly ping: Effect.Effect<void, StoreError>
  }
>()("trails/storage/Database") {}
