import { Effect } from "effect"
import type { CapabilitiesFrame } from "../../protocol/Frames.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import type { SessionPort } from "../SessionPort.ts"
import { commitOwn, entry } from "./commit.ts"
import { load } from "./load.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"

/** What the node takes has changed (docs/protocol.md §6): ancestors read it before they send anything. */
export const capabilities: (
  env: NodeEnvironment,
  cell: NodeCell,
  session: SessionPort,
  frame: CapabilitiesFrame
) => Effect.Effect<void, StoreError> = Effect.fnUntraced(function* (env, cell, session, frame) {
  const capable = { names: frame.capabilities, cancelGraceMs: frame.cancel_grace_ms ?? null }
  while (cell.session === session && cell.stopping === null) {
    const row = yield* load(env, cell)
    if (row === null || cell.session !== session || cell.stopping !== null) return
    const result = yield* commitOwn(env, cell, row, {
      hot: {},
      deadlineIn: "keep",
      rows: [entry("control", row.incarnation, { capabilities: frame.capabilities })],
      capable
    })
    if (result !== "moved") return
  }
})
