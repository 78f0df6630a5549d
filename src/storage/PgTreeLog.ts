import { Effect, Layer } from "effect"
import { Database, type Statement } from "./Database.ts"
import { followAll, followChildren, followOwn, followSubtree } from "./sql/followTree.ts"
import { logHead } from "./sql/logHead.ts"
import { stirred } from "./sql/stirred.ts"
import { type LogHead, TreeLog, type TreeLogRow } from "./TreeLog.ts"

type Found = TreeLogRow & { readonly more: boolean }

/** `TreeLog` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<TreeLog, never, Database> = Layer.effect(
  TreeLog,
  Effect.gen(function* () {
    const database = yield* Database
    const page = (statement: Statement, appId: string | null, after: number, limit: number) =>
      Effect.map(database.query(statement, [appId, after, limit]), (found) => {
        const rows = found as ReadonlyArray<unknown> as ReadonlyArray<Found>
        return { rows, more: rows[0]?.more ?? false }
      })
    return {
      follow: (ancestor, scope, after, limit) =>
        page(scope === "children" ? followChildren : followSubtree, ancestor, after, limit),
      own: (appId, n, limit) => page(followOwn, appId, n, limit),
      all: (after, limit) => page(followAll, null, after, limit),
      head: Effect.map(database.query(logHead, []), (rows) => rows[0] as unknown as LogHead),
      stirred: (ancestors, after, upTo) =>
        Effect.map(
          database.query(stirred, [JSON.stringify(ancestors), after, upTo]),
          (rows) => new Map(rows.map((row) => [row["appId"] as string, row["newest"] as number]))
        )
    }
  })
)
