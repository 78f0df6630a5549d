import pg from "pg"
import { Effect } from "effect"
import type { Connection, Row, Statement } from "./Database.ts"
import { isStale, toStoreError } from "./PgError.ts"
import { clientConfig, type PgLimits } from "./PgSession.ts"
import { parameterText } from "./PgTypes.ts"
import { StoreError } from "./StoreError.ts"

const FIRST_BACKOFF = 50
const LONGEST_BACKOFF = 1_000

interface Waiter {
  readonly go: (client: pg.Client | null) => void
  readonly timer: NodeJS.Timeout
}

/**
 * One dedicated connection that comes back by itself.
 *
 * - L1: a statement is sent at most once; when its answer is lost the caller is told `Unavailable` and decides.
 * - L2: statements are answered in the order of the calls (pipelined, one socket).
 * - L3: while the connection is away a call waits for at most the connect limit, then fails.
 */
export class PgLink implements Connection {
  readonly #url: string
  readonly #limits: PgLimits
  readonly #session: string
  #client: pg.Client | null = null
  #waiting = new Set<Waiter>()
  #retry: NodeJS.Timeout | undefined
  #backoff = FIRST_BACKOFF
  #closed = false

  constructor(url: string, limits: PgLimits, session: string) {
    this.#url = url
    this.#limits = limits
    this.#session = session
    this.#connect()
  }

  query(statement: Statement, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Row>, StoreError> {
    return Effect.callback<ReadonlyArray<Row>, StoreError>((resume) => {
      const abandon = this.#whenConnected((client) => {
        if (client === null) {
          const error = this.#closed
            ? new StoreError({ reason: "Closed", operation: statement.name, message: "trailsd is shutting down" })
            : toStoreError(statement.name, new Error("not connected"))
          return resume(Effect.fail(error))
        }
        runStatement(client, this.#limits, statement, params, (error, rows) => {
          if (error !== null && isStale(error)) void client.end().catch(() => undefined)
          resume(error === null ? Effect.succeed(rows) : Effect.fail(error))
        })
      })
      return Effect.sync(abandon)
    })
  }

  /** Ends the connection after what has been sent is answered. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#release(null)
    const client = this.#client
    this.#client = null
    await client?.end().catch(() => undefined)
  }

  /** Calls `go` now or later; what it returns takes back a call that is still to come. */
  #whenConnected(go: (client: pg.Client | null) => void): () => void {
    if (this.#client !== null || this.#closed) {
      go(this.#client)
      return () => undefined
    }
    const waiter: Waiter = {
      go,
      timer: setTimeout(() => {
        this.#waiting.delete(waiter)
        go(null)
      }, this.#limits.connect)
    }
    this.#waiting.add(waiter)
    return () => {
      clearTimeout(waiter.timer)
      this.#waiting.delete(waiter)
    }
  }

  #release(client: pg.Client | null): void {
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const waiter of waiting) {
      clearTimeout(waiter.timer)
      waiter.go(client)
    }
  }

  #connect(): void {
    const client = new pg.Client({ ...clientConfig(this.#url, this.#limits), pipeline: true })
    let lost = false
    const onLoss = () => {
      if (lost) return
      lost = true
      if (this.#client === client) this.#client = null
      // `end` on a broken client only frees the socket; its promise may never settle.
      void client.end().catch(() => undefined)
      if (this.#closed) return
      this.#retry = setTimeout(() => this.#connect(), this.#backoff)
      this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF)
    }
    client.on("error", onLoss)
    client.on("end", onLoss)
    const session = { text: this.#session, query_timeout: this.#limits.connect }
    client
      .connect()
      .then(() => client.query(session))
      .then(() => {
        if (this.#closed) return void client.end().catch(() => undefined)
        if (lost) return
        this.#backoff = FIRST_BACKOFF
        this.#client = client
        this.#release(client)
      }, onLoss)
  }
}

/** Sends one statement. An empty name: unprepared, by the simple protocol. */
export const runStatement = (
  client: pg.ClientBase,
  limits: PgLimits,
  statement: Statement,
  params: ReadonlyArray<unknown>,
  done: (error: StoreError | null, rows: ReadonlyArray<Row>) => void
): void => {
  const limit = statement.unlimited ? {} : { query_timeout: limits.statement + limits.answerGrace }
  const config =
    statement.name === ""
      ? { text: statement.text, ...limit }
      : { name: statement.name, text: statement.text, values: params.map(parameterText), ...limit }
  client.query(config, (error: Error | null, result: pg.QueryResult<Row> | Array<pg.QueryResult<Row>>) =>
    error === null
      ? done(null, Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows)
      : done(toStoreError(statement.name || "script", error), [])
  )
}
