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
 * meanwhile is asked in one statement, and in another one what was too much for its answer.
 */
export const openCommands = (
  store: CommandStore["Service"]
): ((appId: string, session: string) => Effect.Effect<ReadonlyArray<CommandRow>, StoreError>) => {
  const answer = Effect.fnUntraced(function* (entries: ReadonlyArray<Request.Entry<OpenCommands>>) {
    let rest = entries
    while (rest.length > 0) {
      const asked = rest
      const exit = yield* Effect.exit(
        store.open(asked.map(({ request }) => ({ appId: request.appId, session: request.session })))
      )
      const answered = Exit.isSuccess(exit) ? exit.value.answered : asked.length
      for (const entry of asked.slice(0, answered)) {
        entry.completeUnsafe(Exit.map(exit, ({ commands }) => commands.get(entry.request.appId) ?? NONE))
      }
      rest = asked.slice(answered)
    }
  })
  const resolver = RequestResolver.make<OpenCommands>(answer).pipe(RequestResolver.batchN(MOST))
  return (appId, session) => Effect.request(new OpenCommands({ appId, session }), resolver)
}
