import { Effect } from "effect"
import type { ControlFrame } from "../../protocol/Frames.ts"
import type { CommandRow } from "../../storage/CommandStore.ts"
import type { LogEntry } from "../../storage/LogRow.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { isAttached } from "../Lifecycle.ts"
import type { SessionPort } from "../SessionPort.ts"
import { commitOwn, entry } from "./commit.ts"
import { load } from "./load.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"

const controlFrame = (command: CommandRow, row: NodeRow, session: SessionPort): ControlFrame => ({
  type: "control",
  app_id: row.appId,
  incarnation: row.incarnation,
  session: session.id,
  epoch: row.epoch,
  action: command.action,
  correlation_id: command.correlationId,
  // Its exact text is put in: no number in it is rounded on the way.
  payload: null,
  issued_by: command.issuedBy,
  issued_at: command.issuedAt,
  expires_at: command.expiresAt,
  ...(command.traceparent === null ? {} : { traceparent: command.traceparent })
})

const toldEntry = (command: CommandRow, incarnation: number, text: string): LogEntry => ({
  ...entry(
    "control",
    incarnation,
    {
      action: command.action,
      state: "delivered",
      by: command.issuedBy,
      ...(command.operation === null ? {} : { operation: command.operation })
    },
    text
  ),
  correlationId: command.correlationId,
  traceparent: command.traceparent
})

const reasonOf = ({ action, payload }: CommandRow): string | null => {
  if (action !== "cancel") return null
  const { reason } = (JSON.parse(payload) ?? {}) as { readonly reason?: unknown }
  return typeof reason === "string" ? reason : null
}

/**
 * Tells the node's session what waits for it in the queue, in its order. That it was told is committed first, the row of
 * the queue and of the log together: what a child answers to is known, and a parent's row comes after its children's.
 * A session that is only for stopping is told nothing else.
 */
export const deliver: (env: NodeEnvironment, cell: NodeCell) => Effect.Effect<void, StoreError> = Effect.fnUntraced(
  function* (env, cell) {
    while (cell.session !== null && cell.stopping === null) {
      const session = cell.session
      const found = yield* persist(env.openCommands(cell.id, session.id))
      const commands = found.filter(({ correlationId }) => cell.commands?.has(correlationId) !== true)
      if (commands.length === 0) return
      const row = yield* load(env, cell)
      if (row === null || cell.session !== session || cell.stopping !== null || !isAttached(row.status)) return
      const frames = commands.map((command) => session.seal(controlFrame(command, row, session), command.payload))
      const result = yield* commitOwn(env, cell, row, {
        hot: {},
        deadlineIn: "keep",
        rows: commands.map((command, index) => toldEntry(command, row.incarnation, frames[index]!)),
        commands: commands.map(({ correlationId }) => ({ _tag: "Told", correlationId }))
      })
      if (result === "moved") continue
      cell.commands ??= new Map()
      for (const command of commands) {
        const { action, correlationId, operation } = command
        cell.commands.set(correlationId, { action, operation, reason: reasonOf(command) })
      }
      for (const text of frames) session.sendSealed(text)
      return
    }
  }
)
