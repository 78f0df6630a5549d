import type { NodeRow } from "../../storage/NodeRow.ts"
import type { Mailbox } from "../Mailbox.ts"
import type { SessionPort } from "../SessionPort.ts"

/** A command as far as its answer has to be understood. */
export interface ToldCommand {
  readonly action: string
  readonly operation: string | null
  /** Of a cancel. */
  readonly reason: string | null
  /** Epoch milliseconds of the database's clock. */
  readonly expiresAt: number
}

/**
 * One actor in memory: what its turns share. Small, since 10,000 of them sit idle (DESIGN §9): no fiber, no timer, no
 * closure of its own. Invariants:
 * - C1 only the worker that runs the turn touches `row` and `session`; at most one turn at a time.
 * - C2 `row` is what the last commit or read left; null means "read it again". It is never ahead of the database.
 * - C3 `session` is the accepted session of `row.session`; another one in the row means: deposed.
 */
export interface NodeCell {
  readonly id: string
  readonly mailbox: Mailbox
  row: NodeRow | null
  session: SessionPort | null
  /** Set while the session exists only to tell the child to stop (PROTOCOL §4): the correlation id of that command. */
  stopping: string | null
  /** What this session has been told and has not answered, by correlation id; null: nothing. What is not here may be in the queue. */
  commands: Map<string, ToldCommand> | null
  /** Its peer does not read: it is told nothing more before it does. */
  starved: SessionPort | null
  /** Evidence rows and audits written for this session so far: a bound, since the peer decides how many it provokes. */
  evidence: number
  /** In the ready queue or in a turn. */
  active: boolean
  /** When it was rebuilt after defects, milliseconds: its restart-intensity window. */
  rebuilt: Array<number>
}

/** The session is not the node's any more: what was known of it goes with it. */
export const detach = (cell: NodeCell): void => {
  cell.session = null
  cell.stopping = null
  cell.commands = null
  cell.starved = null
}
