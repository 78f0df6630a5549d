import { Effect } from "effect"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { isAttached, transition } from "../Lifecycle.ts"
import { commitOwn, entry } from "./commit.ts"
import { standingOf } from "./decideData.ts"
import { load } from "./load.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"

/** Seconds since the child was last heard of, from the deadline that its silence set. */
const gapSeconds = (env: NodeEnvironment, row: NodeRow): number => {
  if (row.status !== "reconnecting" || row.deadlineAt === null) return 0
  const byChild = row.outcome?.reason === "connection_drop" || row.outcome?.reason === "heartbeat_timeout"
  const allowed = byChild ? env.settings.disconnectGrace : env.settings.reconnectWindow
  return Math.max(0, row.readAt - (row.deadlineAt - allowed)) / 1000
}

/**
 * The sweep says that a timer of the state has passed: the freshly read row, by the database's clock, decides. A
 * registration that waits in the mailbox is proof of life and goes first; the sweep comes again.
 */
export const deadlinePassed: (env: NodeEnvironment, cell: NodeCell) => Effect.Effect<void, StoreError> =
  Effect.fnUntraced(function* (env, cell) {
    if (cell.mailbox.hasRegistration) return
    while (true) {
      cell.row = null
      const row = yield* load(env, cell)
      if (row === null || row.deadlineAt === null || row.deadlineAt > row.readAt) return
      if ((yield* passDeadline(env, cell, row)) !== "moved") return
    }
  })

/** Applies the verdict of a passed deadline to `row`. */
export const passDeadline: (
  env: NodeEnvironment,
  cell: NodeCell,
  row: NodeRow
) => Effect.Effect<"committed" | "moved" | "ignored", StoreError> = Effect.fnUntraced(function* (env, cell, row) {
  const next = transition(standingOf(row), "deadline")
  if (next._tag !== "Moved") return "ignored"
  return yield* commitOwn(env, cell, row, {
    hot: { status: next.to.status, before: next.to.before },
    deadlineIn: null,
    outcome: { state: next.to.status, ...(next.reason === null ? {} : { reason: next.reason }) },
    rows: [entry(next.kind, row.incarnation, { crash_type: next.reason, gap_seconds: gapSeconds(env, row) })]
  })
})

/**
 * The reaper says that the owner's lease has expired. A session of this replica, or a row that has gone to another
 * owner since, contradicts it. `epoch + 1` deposes the owner should it wake up.
 */
export const orphaned: (env: NodeEnvironment, cell: NodeCell, owner: string | null) => Effect.Effect<void, StoreError> =
  Effect.fnUntraced(function* (env, cell, owner) {
    if (cell.session !== null || cell.mailbox.hasRegistration) return
    while (true) {
      cell.row = null
      const row = yield* load(env, cell)
      if (row === null || !isAttached(row.status)) return
      if (row.owner !== owner) return
      const next = transition(standingOf(row), "replica_lost")
      if (next._tag !== "Moved") return
      const result = yield* commitOwn(env, cell, row, {
        hot: { status: next.to.status, before: next.to.before, owner: null, session: null, epoch: row.epoch + 1 },
        deadlineIn: env.settings.reconnectWindow,
        outcome: { state: next.to.status, reason: "replica_lost" },
        rows: [entry(next.kind, row.incarnation, { reason: next.reason, owner: row.owner })]
      })
      if (result !== "moved") return
    }
  })
