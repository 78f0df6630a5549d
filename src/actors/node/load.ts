import { Effect } from "effect"
import type { ErrorFrame } from "../../protocol/Frames.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { detach, type NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"
import { rejection } from "./rejection.ts"
import { tellToStop } from "./tellToStop.ts"

const replaced = (appId: string): ErrorFrame => ({
  type: "error",
  code: "replaced",
  message: "a newer session of this node exists; do not reconnect by yourself",
  app_id: appId,
  retryable: false
})

/** Taken for dead while nobody has come instead: the child shall come back (its frames are not acked). */
const taken = (appId: string): ErrorFrame =>
  rejection(appId, "unavailable", "this replica was taken for dead meanwhile; reconnect", RETURN_MS)

/** When a child whose session was taken away should be back, milliseconds. */
const RETURN_MS = 100

/**
 * The node's row: the cell's own, or read. A row that names another session deposes ours (C3): its session is closed,
 * unless the node was cancelled from outside, in which case the living child is told to stop (PROTOCOL §4).
 */
export const load: (env: NodeEnvironment, cell: NodeCell) => Effect.Effect<NodeRow | null, StoreError> =
  Effect.fnUntraced(function* (env, cell) {
    const row = cell.row ?? (yield* persist(env.store.read(cell.id)))
    cell.row = row
    const session = cell.session
    if (session === null || cell.stopping !== null || row?.session === session.id) return row
    if (row?.status === "cancelled") {
      yield* tellToStop(env, cell, row, session)
      return row
    }
    detach(cell)
    session.end(row?.session == null ? taken(cell.id) : replaced(cell.id))
    return row
  })

export const replacedError = replaced
