import { Clock, Effect } from "effect"
import type { ControlFrame } from "../../protocol/Frames.ts"
import { type CommandRow, OPEN_BYTES } from "../../storage/CommandStore.ts"
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
import { remember } from "./toldCommands.ts"

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

const UNTAKEN = { ack: false, error: "unknown_action" } as const

/**
 * Clients of the old dialect know no commands, and some take each frame that comes for the ack of what they have sent: they
 * are told nothing, and who waits for the answer has it at once.
 */
const untakenEntry = (
  { action, correlationId, issuedBy, operation, traceparent }: CommandRow,
  incarnation: number
) => ({
  ...entry("control", incarnation, {
    action,
    by: issuedBy,
    outcome: "refused",
    error: UNTAKEN.error,
    ...(operation === null ? {} : { operation })
  }),
  correlationId,
  traceparent
})

/** Whether the session takes more now; when its peer reads again the actor is told. */
const hasRoom = (env: NodeEnvironment, cell: NodeCell, session: SessionPort): boolean => {
  if (session.room === "none" && cell.starved !== session) {
    cell.starved = session
    session.whenRoom(() => {
      if (cell.starved !== session) return
      cell.starved = null
      env.commanded(cell.id)
    })
  }
  return session.room === "some"
}

const sizeOf = (texts: ReadonlyArray<string>): number => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)

/**
 * Tells the node's session what waits for it in the queue, in its order. That it was told is committed first, the row of
 * the queue and of the log together: what a child answers to is known, and a parent's row comes after its children's.
 * A session that is only for stopping is told nothing else, and a peer that does not read nothing more: what it was told and
 * has not read must not be what its socket is closed for, and what is logged again in its next session.
 */
export const deliver: (env: NodeEnvironment, cell: NodeCell) => Effect.Effect<void, StoreError> = Effect.fnUntraced(
  function* (env, cell) {
    while (cell.session !== null && cell.stopping === null) {
      const session = cell.session
      if (!hasRoom(env, cell, session)) return
      const found = yield* persist(env.openCommands(cell.id, session.id))
      const commands = found.filter(({ correlationId }) => cell.commands?.has(correlationId) !== true)
      if (commands.length === 0) return
      const row = yield* load(env, cell)
      if (row === null || cell.session !== session || cell.stopping !== null || !isAttached(row.status)) return
      if (session.dialect === "legacy") {
        yield* commitOwn(env, cell, row, {
          hot: {},
          deadlineIn: "keep",
          rows: commands.map((command) => untakenEntry(command, row.incarnation)),
          commands: commands.map(({ correlationId }) => ({ _tag: "Answered", correlationId, answer: UNTAKEN }))
        })
        continue
      }
      // Meanwhile others on the same socket may have taken it.
      if (!hasRoom(env, cell, session)) return
      const now = yield* Clock.currentTimeMillis
      const frames = commands.map((command) => session.seal(controlFrame(command, row, session), command.payload))
      const bytes = sizeOf(frames)
      session.setAside(bytes)
      const commitAndSend = Effect.map(
        commitOwn(env, cell, row, {
          hot: {},
          deadlineIn: "keep",
          rows: commands.map((command, index) => toldEntry(command, row.incarnation, frames[index]!)),
          commands: commands.map(({ correlationId }) => ({ _tag: "Told", correlationId }))
        }),
        (result) => {
          if (result === "moved") return false
          remember(cell, commands, now)
          for (const text of frames) session.sendSealed(text)
          return true
        }
      )
      const isTold = yield* Effect.ensuring(
        commitAndSend,
        Effect.sync(() => session.setAside(-bytes))
      )
      if (isTold && sizeOf(found.map(({ payload }) => payload)) < OPEN_BYTES) return
    }
  }
)
