import { Effect, Schedule } from "effect"
import type { StoreError } from "../../storage/StoreError.ts"

const backoff = Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")])

/**
 * Repeats a read, or a write that is safe to repeat, until the database takes it: while it is away, or not as it should
 * be, a node waits; it is never told "failed" (P17). What is left is `Closed` (this process stops) and a refusal that is
 * about the data.
 */
export const persist = <A>(effect: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
  Effect.retry(effect, { schedule: backoff, while: (error) => error.reason !== "Closed" && !error.isAboutData })
