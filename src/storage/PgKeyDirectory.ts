import { Effect, Layer } from "effect"
import { Database, type Row } from "./Database.ts"
import { KeyDirectory } from "./KeyDirectory.ts"
import { pgText } from "./PgText.ts"
import { keyHolder, nearestHolder } from "./sql/keyHolder.ts"

const idOf = ([row]: ReadonlyArray<Row>): string | null => (row?.["appId"] as string | undefined) ?? null

/** `KeyDirectory` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<KeyDirectory, never, Database> = Layer.effect(
  KeyDirectory,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      holder: (publicKey) => Effect.map(database.query(keyHolder, [pgText(publicKey)]), idOf),
      nearest: (publicKey, appId) => Effect.map(database.query(nearestHolder, [pgText(publicKey), appId]), idOf)
    }
  })
)
