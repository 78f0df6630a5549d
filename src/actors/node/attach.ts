import { Effect } from "effect"
import type { RegisteredFrame, RegisterFrame, ReRegisterFrame } from "../../protocol/Frames.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { Admission } from "../NodeMessage.ts"
import type { SessionPort } from "../SessionPort.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { deliver } from "./deliver.ts"
import { replacedError } from "./load.ts"
import { detach, type NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { tellToStop } from "./tellToStop.ts"

/** What `registered` says of a node that is, or is about to be, at this place. */
export interface Place {
  readonly appId: string
  readonly parentId: string | null
  readonly ticketHash: string | null
  readonly pubKey: string
  readonly incarnation: number
  readonly epoch: number
  readonly lastSeq: number
  readonly cancelOnly: boolean
}

/** The `registered` frame (PROTOCOL §3): both nonces in it prove to the child that nobody replays an old conversation. */
export const registeredFrame = (
  place: Place,
  session: SessionPort,
  frame: RegisterFrame | ReRegisterFrame
): RegisteredFrame => ({
  type: "registered",
  app_id: place.appId,
  parent_id: place.parentId,
  child_pub_key: place.pubKey,
  ...(place.ticketHash === null ? {} : { ticket_hash: place.ticketHash }),
  server_pub_key: session.terms.serverKey,
  ...(frame.nonce === undefined ? {} : { nonce: frame.nonce }),
  ...(frame.client_nonce === undefined ? {} : { client_nonce: frame.client_nonce }),
  incarnation: place.incarnation,
  epoch: place.epoch,
  session: session.id,
  last_seq: place.lastSeq,
  ...(place.cancelOnly ? { only: "cancel" as const } : {}),
  limits: session.terms.limits,
  ping_interval_ms: session.terms.pingIntervalMs
})

/**
 * After the commit that made `session` the node's: the older one is told, the newer one is answered. A session that
 * must only stop gets its command at once, any other what waits for it in the queue.
 */
export const attach: (
  env: NodeEnvironment,
  cell: NodeCell,
  row: NodeRow,
  session: SessionPort,
  registered: string,
  cancelOnly: boolean
) => Effect.Effect<Admission, StoreError> = Effect.fnUntraced(
  function* (env, cell, row, session, registered, cancelOnly) {
    const older = cell.session
    detach(cell)
    cell.session = session
    cell.evidence = 0
    if (older !== null && older !== session) older.end(replacedError(cell.id))
    session.sendSealed(registered)
    if (cancelOnly) yield* tellToStop(env, cell, row, session)
    // A node that is new has been told nothing yet.
    else if (row.n > 1) yield* deliver(env, cell)
    return {
      _tag: "Accepted",
      epoch: row.epoch,
      incarnation: row.incarnation,
      level: row.level,
      only: cancelOnly ? "cancel" : null
    }
  }
)
