import { StoreError } from "./StoreError.ts"

/** What `pg` and PGlite throw, as far as it is looked at. */
export interface DatabaseFailure {
  readonly message: string
  /** SQLSTATE, or a code of Node's (`ECONNREFUSED`). */
  readonly code?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly constraint?: string | undefined
}

// No class of Postgres begins with E, and Node's EPIPE is no SQLSTATE.
const SQLSTATE = /^(?!E)[0-9A-Z]{5}$/

/**
 * A prepared statement does not fit the tables any more (a newer trailsd has migrated them) or is not known to the
 * server: the connection has to be renewed, and then the statement runs.
 */
const STALE = new Set(["0A000", "26000"])

export const isStale = (error: StoreError): boolean => error.code !== undefined && STALE.has(error.code)

type Reason = StoreError["reason"]

// Whole classes: connection, resources, operator intervention, system error, internal error. None of them is about what
// was in the statement, so that a repetition can succeed.
const AWAY = new Set(["08", "53", "57", "58", "XX"])
// Serialisation failure, deadlock, failover to a standby, idle in transaction: undone by the server, worth repeating.
const UNDONE = new Set(["40001", "40P01", "25006", "25P03", "25P04"])
// The server cannot be used as configured; a person may mend it while trailsd waits.
const MISCONFIGURED = new Set(["28000", "28P01", "3D000"])

const reasonOf = (code: string | undefined, message: string): Reason => {
  if (code === "57014" || code === "55P03") return "Timeout"
  if (code === undefined || !SQLSTATE.test(code)) return message === "Query read timeout" ? "Timeout" : "Unavailable"
  if (AWAY.has(code.slice(0, 2)) || UNDONE.has(code) || MISCONFIGURED.has(code) || STALE.has(code)) return "Unavailable"
  return "Refused"
}

const place = (failure: DatabaseFailure): string =>
  [
    failure.constraint && `constraint ${failure.constraint}`,
    failure.table && `table ${failure.table}`,
    failure.column && `column ${failure.column}`
  ]
    .filter(Boolean)
    .join(", ")

// In these classes the server's own text may repeat a parameter's value.
const TELLS_VALUES = /^(?:21|22|23|38|39|44|54|P0)/

const describe = (reason: Reason, code: string | undefined, failure: DatabaseFailure): string => {
  if (reason === "Refused") {
    const where = place(failure)
    const said = TELLS_VALUES.test(code ?? "") ? "" : `: ${failure.message}`
    return `the database refused the statement (SQLSTATE ${code}${where ? `, ${where}` : ""})${said}`
  }
  if (reason === "Timeout") return `the database did not answer in time (${code ?? "client time-out"})`
  if (code !== undefined && MISCONFIGURED.has(code)) {
    return `the database does not let trailsd in (SQLSTATE ${code}): check user, password and database of DATABASE_URL`
  }
  if (failure.message === "timeout exceeded when trying to connect") {
    return "no free database connection within the time limit: the pool is exhausted, or the database is slow"
  }
  return `the database is not reachable (${code ?? "connection lost"}): is it up, and does DATABASE_URL point at it?`
}

/** Classifies a failure (StoreError); never repeats a connection string or a parameter. */
export const toStoreError = (operation: string, thrown: unknown): StoreError => {
  const failure: DatabaseFailure =
    thrown instanceof Error ? (thrown as Error & DatabaseFailure) : { message: String(thrown) }
  const reason = reasonOf(failure.code, failure.message)
  return new StoreError({
    reason,
    operation,
    ...(failure.code === undefined ? {} : { code: failure.code }),
    message: describe(reason, failure.code, failure)
  })
}

/** The transaction was undone by the server as a whole: run it again. */
export const isUndone = (error: unknown): boolean =>
  error instanceof StoreError && (error.code === "40001" || error.code === "40P01")

/** About the data of the statement, not about the server: data exception, constraint, program limit. */
export const isAboutData = (error: StoreError): boolean => error.isAboutData
