import { Data } from "effect"

/**
 * Why there is no connection to NATS.
 * - `Away`: nothing answers, or not in time, or it is no nats-server.
 * - `Denied`: a server answers and does not take the login.
 * - `Refused`: a server answers that trailsd does not use: its version is too old.
 * - `Credentials`: the file of credentials can't be used.
 */
export class NatsError extends Data.TaggedError("NatsError")<{
  readonly reason: "Away" | "Denied" | "Refused" | "Credentials"
  /** One line that says what to do; no secrets. */
  readonly message: string
}> {}
