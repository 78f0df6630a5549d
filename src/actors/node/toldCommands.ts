import type { CommandRow } from "../../storage/CommandStore.ts"
import type { NodeCell, ToldCommand } from "./NodeCell.ts"

const reasonOf = ({ action, payload }: CommandRow): string | null => {
  if (action !== "cancel") return null
  const { reason } = (JSON.parse(payload) ?? {}) as { readonly reason?: unknown }
  return typeof reason === "string" ? reason : null
}

export const toldCommand = (command: CommandRow): ToldCommand => {
  const { action, expiresAt, operation } = command
  return { action, operation, reason: reasonOf(command), expiresAt }
}

/**
 * Notes what the session has just been told, and forgets what nobody has answered in its time: a child may go on for ever
 * without an answer to anything. `now`: epoch milliseconds; where clocks differ, what was forgotten too early is found in
 * the queue.
 */
export const remember = (cell: Pick<NodeCell, "commands">, commands: ReadonlyArray<CommandRow>, now: number): void => {
  const told = (cell.commands ??= new Map())
  for (const [correlationId, { expiresAt }] of told) if (expiresAt <= now) told.delete(correlationId)
  for (const command of commands) told.set(command.correlationId, toldCommand(command))
}
