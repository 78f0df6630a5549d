import { Effect } from "effect"
import type { LogEntry } from "../../storage/LogRow.ts"
import type { Capable, HotState, Identity, NodeRow, Outcome } from "../../storage/NodeRow.ts"
import type { CommandMark, NodeWrite } from "../../storage/NodeStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"

/** What a handler wants to change; what it leaves out stays. */
export interface Change {
  readonly hot: Partial<HotState>
  readonly deadlineIn: number | null | "keep"
  readonly rows: ReadonlyArray<LogEntry>
  readonly snapshot?: { readonly seq: number; readonly payload: string }
  readonly outcome?: Outcome | null
  readonly identity?: Identity
  readonly commands?: ReadonlyArray<CommandMark>
  readonly capable?: Capable
}

/** `moved`: somebody else changed the row; `cell.row` is cleared and the handler decides anew. */
export type CommitResult =
  | { readonly _tag: "committed" }
  | { readonly _tag: "moved" }
  | {
      readonly _tag: "poisoned"
      readonly message: string
    }

const hotOf = (row: NodeRow, patch: Partial<HotState>): HotState => ({
  status: patch.status ?? row.status,
  before: patch.before === undefined ? row.before : patch.before,
  owner: patch.owner === undefined ? row.owner : patch.owner,
  session: patch.session === undefined ? row.session : patch.session,
  epoch: patch.epoch ?? row.epoch,
  incarnation: patch.incarnation ?? row.incarnation,
  lastSeq: patch.lastSeq ?? row.lastSeq,
  rebinds: patch.rebinds ?? row.rebinds
})

/** The compare-and-set against `row` (DESIGN §2). */
export const writeOf = (row: NodeRow, writeId: string, change: Change): NodeWrite => ({
  appId: row.appId,
  expected: { epoch: row.epoch, n: row.n },
  writeId,
  pathVersion: row.pathVersion,
  path: row.path,
  hot: hotOf(row, change.hot),
  deadlineIn: change.deadlineIn,
  rows: change.rows,
  ...(change.snapshot === undefined ? {} : { snapshot: change.snapshot }),
  ...(change.outcome === undefined ? {} : { outcome: change.outcome }),
  ...(change.identity === undefined ? {} : { identity: change.identity }),
  ...(change.commands === undefined ? {} : { commands: change.commands }),
  ...(change.capable === undefined ? {} : { capable: change.capable })
})

/** Writes `change` and, once it is committed, makes it the cell's row (C2). */
export const commit: (
  env: NodeEnvironment,
  cell: NodeCell,
  row: NodeRow,
  change: Change
) => Effect.Effect<CommitResult, StoreError> = Effect.fnUntraced(function* (env, cell, row, change) {
  const write = writeOf(row, env.newId(), change)
  const outcome = yield* env.storage.write(write)
  switch (outcome._tag) {
    case "Committed":
      // A deadline is the database's clock's: whoever needs it reads the row.
      cell.row =
        typeof change.deadlineIn === "number"
          ? null
          : {
              ...row,
              ...write.hot,
              n: row.n + change.rows.length,
              writeId: write.writeId,
              deadlineAt: change.deadlineIn === null ? null : row.deadlineAt,
              pubKey: change.identity?.pubKey ?? row.pubKey,
              outcome: change.outcome === undefined ? row.outcome : change.outcome
            }
      return { _tag: "committed" }
    case "Missed":
      cell.row = null
      return { _tag: "moved" }
    case "Poisoned":
      return { _tag: "poisoned", message: outcome.message }
  }
})

/** `commit` of what is ours alone, without a child's frame: that the database should refuse it is a defect. */
export const commitOwn = (
  env: NodeEnvironment,
  cell: NodeCell,
  row: NodeRow,
  change: Change
): Effect.Effect<"committed" | "moved", StoreError> =>
  Effect.flatMap(commit(env, cell, row, change), (result) =>
    result._tag === "poisoned"
      ? Effect.die(new Error(`the database refused a change of ours: ${result.message}`))
      : Effect.succeed(result._tag)
  )

/** A log entry of ours; what is of a child is put beside it. */
export const entry = (
  kind: LogEntry["kind"],
  incarnation: number,
  data: Readonly<Record<string, unknown>> | null,
  frame: string | null = null
): LogEntry => ({
  kind,
  incarnation,
  seq: null,
  correlationId: null,
  frame,
  payload: null,
  bytes: null,
  data,
  traceparent: null
})
