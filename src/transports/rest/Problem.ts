import { STATUS_CODES } from "node:http"
import { Data } from "effect"
import type { ErrorCode, ErrorFrame } from "../../protocol/Frames.ts"
import type { StoreError } from "../../storage/StoreError.ts"

/** A refusal as RFC 9457 has it. `detail` says what is wrong and what to do; never a secret. */
export class Problem extends Data.TaggedError("Problem")<{
  readonly status: number
  /** For programs: stable, lower case with underscores. */
  readonly code: string
  readonly detail: string
  readonly headers?: Readonly<Record<string, string>>
}> {
  /** The body of `application/problem+json`. */
  get json(): string {
    const { code, detail, status } = this
    return JSON.stringify({ type: "about:blank", title: STATUS_CODES[status] ?? "Error", status, code, detail })
  }
}

export const badRequest = (code: string, detail: string): Problem => new Problem({ status: 400, code, detail })

export const levelRefused = (detail: string): Problem => new Problem({ status: 403, code: "level_too_weak", detail })

export const notFound = (detail: string): Problem => new Problem({ status: 404, code: "not_found", detail })

/** Nothing is wrong with the request: the same one may be sent again after `seconds`. */
export const tryLater = (code: string, detail: string, seconds = 1): Problem =>
  new Problem({ status: 503, code, detail, headers: { "retry-after": String(seconds) } })

/**
 * Of something that would happen twice if it were asked for twice: nobody knows whether it was written when the database
 * went away. No `Retry-After`; `where` shows it.
 */
export const uncertain = (error: StoreError, where: string): StoreError | Problem =>
  error.reason === "Refused"
    ? error
    : new Problem({
        status: 503,
        code: "uncertain",
        detail: `The database does not answer, and nobody knows whether this was begun: GET ${where} tells when it is back. With an idempotencyKey the same request could be sent again`
      })

export const storeProblem = (error: StoreError): Problem =>
  error.isRetryable
    ? tryLater("unavailable", "The database does not answer; try again. /readyz tells when it is back")
    : error.reason === "Closed"
      ? tryLater("going_away", "This server is stopping; try again in a moment")
      : new Problem({
          status: 500,
          code: "internal",
          detail: "The database refused the query; the server's log says why"
        })

/** HTTP status of a typed refusal by a node's actor (PROTOCOL §3). */
const statusOf: Readonly<Record<ErrorCode, number>> = {
  bad_frame: 400,
  too_large: 413,
  bad_signature: 403,
  not_registered: 404,
  registration_failed: 409,
  key_mismatch: 409,
  ticket_invalid: 403,
  deadline_passed: 410,
  parent_sealed: 409,
  level_too_weak: 403,
  seq_conflict: 409,
  superseded: 409,
  terminal: 409,
  replaced: 409,
  going_away: 503,
  overloaded: 503,
  unavailable: 503
}

export const frameProblem = (error: ErrorFrame): Problem => {
  const seconds = error.retryable ? Math.ceil((error.retry_after_ms ?? 1000) / 1000) : null
  return new Problem({
    status: statusOf[error.code],
    code: error.code,
    detail: error.message,
    ...(seconds === null ? {} : { headers: { "retry-after": String(seconds) } })
  })
}
