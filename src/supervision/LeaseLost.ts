import { Data } from "effect"

/**
 * This boot's lease is gone for good: others may have taken its nodes, so the process stops and is started afresh.
 * - `reaped`: another replica found it expired and marked it. The database says so, or, while it can't be reached, another
 *   replica that reaches it.
 * - `outdated`: a newer trailsd has changed the database in a way that this version can't bear.
 * - `expired`: it could not be renewed for its whole length although the database answers.
 */
export class LeaseLost extends Data.TaggedError("LeaseLost")<{
  readonly reason: "reaped" | "expired" | "outdated"
  readonly boot: string
  /** For the operator: what happened and what to look at. */
  readonly message: string
}> {}
