import { Worker } from "node:worker_threads"
import { Effect } from "effect"
import type { Connection, Row, Statement } from "./Database.ts"
import { toStoreError } from "./PgError.ts"
import type { PgliteAnswer, PgliteCommand } from "./PgliteMessage.ts"
import { parameterText } from "./PgTypes.ts"
import { StoreError } from "./StoreError.ts"

const FIRST_BACKOFF = 100
const LONGEST_BACKOFF = 5_000

interface Pending {
  readonly operation: string
  readonly resume: (result: Effect.Effect<ReadonlyArray<Row>, StoreError>) => void
}

export type SpawnWorker = (folder: string | null) => Worker

export const spawnWorker: SpawnWorker = (folder) => {
  const worker = new Worker(new URL("./PgliteWorker.ts", import.meta.url), {
    name: "pglite",
    workerData: { folder },
    // The command line of trailsd is not the worker's, and PGlite's own notices are not for its screen.
    argv: [],
    stdout: true
  })
  worker.stdout.resume()
  return worker
}

/**
 * The worker thread that PGlite runs in. When it dies, what was under way is `Unavailable` (it may have been
 * committed), and a folder is opened again by a new thread; a database in memory is gone for good.
 */
export class PgliteThread implements Connection {
  readonly #folder: string | null
  readonly #spawn: SpawnWorker
  #worker: Worker | null = null
  #ready = false
  #closed = false
  #backoff = FIRST_BACKOFF
  #retry: NodeJS.Timeout | undefined
  #nextId = 1
  readonly #pending = new Map<number, Pending>()
  #starting: Set<(error: StoreError | null) => void> = new Set()
  #ended: (() => void) | null = null

  constructor(folder: string | null, spawn: SpawnWorker = spawnWorker) {
    this.#folder = folder
    this.#spawn = spawn
    this.#start()
  }

  /** Waits for the first start; fails with what PGlite says when it cannot open the folder. */
  readonly started: Effect.Effect<void, StoreError> = Effect.callback((resume) => {
    if (this.#ready) return resume(Effect.void)
    this.#starting.add((error) => resume(error === null ? Effect.void : Effect.fail(error)))
  })

  query(statement: Statement, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Row>, StoreError> {
    return Effect.callback<ReadonlyArray<Row>, StoreError>((resume) => {
      const worker = this.#worker
      const operation = statement.name || "script"
      if (worker === null || !this.#ready) return resume(Effect.fail(this.#away(operation)))
      const id = this.#nextId++
      this.#pending.set(id, { operation, resume })
      this.#send(worker, { id, name: statement.name, text: statement.text, params: params.map(parameterText) })
    })
  }

  /** Closes the database after what has been sent is answered, and ends the thread. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    const worker = this.#worker
    if (worker === null) return
    if (this.#ready) {
      const ended = new Promise<void>((resolve) => {
        this.#ended = resolve
      })
      this.#send(worker, "close")
      await ended
    }
    await worker.terminate()
  }

  #send(worker: Worker, command: PgliteCommand): void {
    worker.postMessage(command)
  }

  #away(operation: string): StoreError {
    return this.#closed
      ? new StoreError({ reason: "Closed", operation, message: "trailsd is shutting down" })
      : new StoreError({
          reason: "Unavailable",
          operation,
          message:
            this.#folder === null
              ? "the in-memory database has died: restart"
              : "the embedded database has stopped and is being opened again"
        })
  }

  #start(): void {
    const worker = this.#spawn(this.#folder)
    this.#worker = worker
    worker.on("message", (answer: PgliteAnswer) => this.#onAnswer(worker, answer))
    worker.on("error", () => this.#onEnd(worker, "its thread has died"))
    worker.on("exit", () => this.#onEnd(worker, "its thread has ended"))
  }

  #onAnswer(worker: Worker, answer: PgliteAnswer): void {
    switch (answer._tag) {
      case "Ready":
        this.#ready = true
        this.#backoff = FIRST_BACKOFF
        return this.#settleStart(null)
      case "Broken":
        return this.#onEnd(worker, answer.message)
      case "Closed":
        return this.#ended?.()
    }
    const pending = this.#pending.get(answer.id)
    this.#pending.delete(answer.id)
    pending?.resume(
      answer._tag === "Rows"
        ? Effect.succeed(answer.rows)
        : Effect.fail(toStoreError(pending.operation, Object.assign(new Error(answer.failure.message), answer.failure)))
    )
  }

  #settleStart(error: StoreError | null): void {
    const starting = this.#starting
    this.#starting = new Set()
    for (const settle of starting) settle(error)
  }

  #onEnd(worker: Worker, why: string): void {
    if (this.#worker !== worker) return
    this.#worker = null
    this.#ready = false
    void worker.terminate()
    this.#ended?.()
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { operation, resume } of pending) resume(Effect.fail(this.#away(operation)))
    this.#settleStart(
      new StoreError({
        reason: "Unavailable",
        operation: "open",
        message:
          `the embedded database does not open (${why}): is the data folder writable and whole, ` +
          "and made by this version of trailsd?"
      })
    )
    if (this.#closed || this.#folder === null) return
    this.#retry = setTimeout(() => this.#start(), this.#backoff)
    this.#backoff = Math.min(this.#backoff * 2, LONGEST_BACKOFF)
  }
}
