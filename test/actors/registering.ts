import { createHash, randomUUID } from "node:crypto"
import { Effect } from "effect"
import { Database } from "../../src/storage/Database.ts"
import { childInfo, Harness, keypair, SERVER } from "./ActorHarness.ts"

/** How a registration was answered. */
export const code = (result: {
  readonly admission: { readonly _tag: string; readonly error?: { readonly code: string } }
}) => (result.admission._tag === "Accepted" ? "accepted" : `!${result.admission.error?.code}`)

export const sql = (text: string, params: ReadonlyArray<unknown>) =>
  Effect.flatMap(Database, (database) =>
    Effect.orDie(
      database.query({ name: `test/${createHash("sha256").update(text).digest("hex").slice(0, 16)}`, text }, params)
    )
  )

/** A signed root with its key bound, by a ticket of the server's. */
export const signedRoot = Effect.fnUntraced(function* () {
  const harness = yield* Harness
  const appId = randomUUID()
  const { session } = yield* harness.register({ appId, verified: true, info: childInfo(appId, null, SERVER) })
  return { appId, session, ...keypair(appId) }
})
