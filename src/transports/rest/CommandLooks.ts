import { Effect, Exit, Request, RequestResolver } from "effect"
import type { CommandName, CommandRow, CommandStore } from "../../storage/CommandStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"

class Look extends Request.Class<CommandName, CommandRow | null, StoreError> {}

/** Commands looked at in one statement. */
const MOST = 500

/**
 * Whether a command is through; null: not yet. Whoever is woken at the same moment looks in one statement, at one row for all
 * who wait for the same command.
 */
export const commandLooks = (
  store: CommandStore["Service"]
): ((command: CommandName) => Effect.Effect<CommandRow | null, StoreError>) => {
  const resolver = RequestResolver.make<Look>((entries) => {
    const asked = new Map(
      entries.map(({ request: { appId, correlationId } }) => [correlationId, { appId, correlationId }])
    )
    return Effect.exit(store.through([...asked.values()])).pipe(
      Effect.map((exit) => {
        const rows = Exit.map(exit, (found) => new Map(found.map((row) => [row.correlationId, row])))
        for (const entry of entries) {
          entry.completeUnsafe(Exit.map(rows, (found) => found.get(entry.request.correlationId) ?? null))
        }
      })
    )
  }).pipe(RequestResolver.batchN(MOST))
  return (command) => Effect.request(new Look(command), resolver)
}
