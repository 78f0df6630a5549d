import { Clock, Effect } from "effect"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { SessionPort } from "../SessionPort.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"

/** How long a child that must not live has to end by itself, milliseconds. */
const GRACE_MS = 5000
/** How long the command is good, milliseconds. */
const COMMAND_TTL_MS = 3_600_000

/** "Refused is not stopped" (PROTOCOL §4): the signed cancel of a session that exists for that alone. */
export const tellToStop: (
  env: NodeEnvironment,
  cell: NodeCell,
  row: NodeRow,
  session: SessionPort
) => Effect.Effect<void> = Effect.fnUntraced(function* (env, cell, row, session) {
  const now = yield* Clock.currentTimeMillis
  const correlationId = env.newId()
  cell.stopping = correlationId
  session.restrict()
  session.send({
    type: "control",
    app_id: row.appId,
    incarnation: row.incarnation,
    session: session.id,
    epoch: row.epoch,
    action: "cancel",
    correlation_id: correlationId,
    payload: { reason: row.outcome?.reason ?? row.status, graceMs: GRACE_MS },
    issued_by: "server",
    issued_at: now,
    expires_at: now + COMMAND_TTL_MS
  })
})
