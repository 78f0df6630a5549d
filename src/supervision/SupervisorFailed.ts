import { Data } from "effect"

/**
 * A supervisor gave up (escalation). Its children are stopped when this is raised, except for one that is `stuck`.
 * - `intensity`: the child failed more often than its spec allows.
 * - `stuck`: the child had to be stopped for the sake of another one and did not end within its budget. A second one
 *   beside it could do harm, so none is started.
 */
export class SupervisorFailed extends Data.TaggedError("SupervisorFailed")<{
  readonly reason: "intensity" | "stuck"
  readonly supervisor: string
  readonly child: string
  /** For the operator: what happened and what to look at. */
  readonly message: string
}> {}
