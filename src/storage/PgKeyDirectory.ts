import { Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { KeyDirectory } from "./KeyDirectory.ts"
import { pgText } from "./PgText.ts"
import { keyHolders, nearestAncestor } from "./sql/keyHolders.ts"

/** `KeyDirectory` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<KeyDirectory, never, Database> = Layer.effect(
  KeyDirectory,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      holders: (publicKey) =>
        Effect.map(database.query(keyHolders, [pgText(publicKey)]), (rows) =>
          rows.map((row) => row["appId"] as string)
        ),
      nearest: (nodeIds, appId) =>
        Effect.map(
          database.query(nearestAncestor, [JSON.stringify(nodeIds), appId]),
          ([row]) => (row?.["appId"] as string | undefined) ?? null
        )
    }
  })
)
