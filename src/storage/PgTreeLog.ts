import { Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import { followChildren, followSubtree } from "./sql/followTree.ts"
import { logHead } from "./sql/logHead.ts"
import { stirred } from "./sql/stirred.ts"
import { type LogHead, TreeLog, type TreeLogRow } from "./TreeLog.ts"

type Found = TreeLogRow & { readonly more: boolean }

/** `TreeLog` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<TreeLog, never, Database> = Layer.effect(
  TreeLog,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      follow: (ancestor, scope, after, limit) =>
        Effect.map(
          database.query(scope === "children" ? followChildren : followSubtree, [ancestor, after, limit]),
          (found) => {
            const rows = found as ReadonlyArray<unknown> as ReadonlyArray<Found>
            return { rows, more: rows[0]?.more ?? false }
          }
        ),
      head: Effect.map(database.query(logHead, []), (rows) => rows[0] as unknown as LogHead),
      stirred: (ancestors, after, upTo) =>
        Effect.map(
          database.query(stirred, [JSON.stringify(ancestors), after, upTo]),
          (rows) => new Map(rows.map((row) => [row["appId"] as string, row["newest"] as number]))
        )
    }
  })
)
