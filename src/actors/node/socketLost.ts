import { Effect } from "effect"
import type { StoreError } from "../../storage/StoreError.ts"
import { type LifecycleEvent, transition } from "../Lifecycle.ts"
import type { LossCause, SessionPort } from "../SessionPort.ts"
import { commitOwn, entry } from "./commit.ts"
import { standingOf } from "./decideData.ts"
import { load } from "./load.ts"
import { detach, type NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"

const EVENTS: Readonly<Record<LossCause, LifecycleEvent>> = {
  peer: "connection_drop",
  heartbeat: "heartbeat_timeout",
  server: "server_closed"
}

/**
 * The socket under a session is gone (PROTOCOL §7). The late end of an older session touches nothing: only the session
 * that the cell holds now can lose its node.
 */
export const socketLost: (
  env: NodeEnvironment,
  cell: NodeCell,
  session: SessionPort,
  cause: LossCause
) => Effect.Effect<void, StoreError> = Effect.fnUntraced(function* (env, cell, session, cause) {
  if (cell.session !== session) return
  while (true) {
    const row = yield* load(env, cell)
    if (row === null || cell.session !== session) return
    const next = transition(standingOf(row), EVENTS[cause])
    if (next._tag === "Moved") {
      const result = yield* commitOwn(env, cell, row, {
        hot: { status: next.to.status, before: next.to.before, owner: null, session: null },
        deadlineIn: next.timer === "disconnect_grace" ? env.settings.disconnectGrace : env.settings.reconnectWindow,
        outcome: { state: next.to.status, ...(next.reason === null ? {} : { reason: next.reason }) },
        rows: [entry(next.kind, row.incarnation, { reason: next.reason })]
      })
      if (result === "moved") continue
    }
    detach(cell)
    return
  }
})
