import { Data } from "effect"

/**
 * The one infrastructure error of storage.
 * - `Unavailable`: no connection, server shutting down, pool wait timed out. Nothing is known to have been written,
 *   nor not to have been: a write must be repeated with the same `writeId`.
 * - `Timeout`: the statement's own time limit; as ambiguous as `Unavailable`.
 * - `Refused`: Postgres looked at the statement and refused it (data exception, constraint): nothing was written.
 * - `Closed`: this process is shutting down.
 */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly reason: "Unavailable" | "Timeout" | "Refused" | "Closed"
  readonly operation: string
  /** SQLSTATE when there is one. */
  readonly code?: string
  /** Safe to log: never a connection string or a parameter. */
  readonly message: string
}> {
  /**
   * SQLSTATE classes 21, 22, 23 and 54: what was written can't be stored, here and now or ever. Every other refusal is
   * about the database (a table that is missing, a right that was revoked) and may be mended while trailsd waits.
   */
  get isAboutData(): boolean {
    return this.reason === "Refused" && /^(?:21|22|23|54)/.test(this.code ?? "")
  }
  get isRetryable(): boolean {
    return this.reason === "Unavailable" || this.reason === "Timeout"
  }
}
