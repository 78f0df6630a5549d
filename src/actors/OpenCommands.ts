import { Effect, Exit, Request, RequestResolver } from "effect"
import type { CommandRow, CommandStore } from "../storage/CommandStore.ts"
import type { StoreError } from "../storage/StoreError.ts"

class OpenCommands extends Request.Class<
  { readonly appId: string; readonly session: string },
  ReadonlyArray<CommandRow>,
  StoreError
> {}

/** Nodes asked about in one statement. */
const MOST = 500
const NONE: ReadonlyArray<CommandRow> = []

/**
 * What a session is to be told next. A cascade's level wakes thousands of actors at the same moment: what they ask
 * meanwhile is asked in one statement.
 */
export const openCommands = (
  store: CommandStore["Service"]
): ((appId: string, session: string) => Effect.Effect<ReadonlyArray<CommandRow>, StoreError>) => {
  const resolver = RequestResolver.make<OpenCommands>((entries) =>
    Effect.exit(store.open(entries.map(({ request }) => ({ appId: request.appId, session: request.session })))).pipe(
      Effect.map((exit) => {
        for (const entry of entries) {
          entry.completeUnsafe(Exit.map(exit, (found) => found.get(entry.request.appId) ?? NONE))
        }
      })
    )
  ).pipe(RequestResolver.batchN(MOST))
  return (appId, session) => Effect.request(new OpenCommands({ appId, session }), resolver)
}
