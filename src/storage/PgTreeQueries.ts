import { Effect, Layer } from "effect"
import { Database, type Row } from "./Database.ts"
import { movedNodes, standing } from "./sql/standings.ts"
import { stirredSince } from "./sql/stirredSince.ts"
import { treeView } from "./sql/treeView.ts"
import { type Standing, type Stir, type StoredText, type TreeNode, TreeQueries } from "./TreeQueries.ts"

const textOf = (text: unknown, bytes: unknown): StoredText | null =>
  bytes === null ? null : { text: text as string | null, bytes: bytes as number }

const nodeOf = (row: Row): TreeNode => {
  const { cursor: _cursor, payloadBytes, snapshotBytes, total: _total, ...rest } = row
  return {
    ...(rest as unknown as TreeNode),
    snapshot: textOf(row["snapshot"], snapshotBytes),
    payload: textOf(row["payload"], payloadBytes)
  }
}

/** `TreeQueries` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<TreeQueries, never, Database> = Layer.effect(
  TreeQueries,
  Effect.gen(function* () {
    const database = yield* Database
    return {
      standing: (appId) =>
        Effect.map(
          database.query(standing, [appId]),
          (rows) => (rows as ReadonlyArray<unknown> as ReadonlyArray<Standing>)[0] ?? null
        ),
      moved: (appIds) =>
        Effect.map(
          database.query(movedNodes, [JSON.stringify(appIds)]),
          (rows) => new Map((rows as ReadonlyArray<unknown> as ReadonlyArray<Standing>).map((row) => [row.appId, row]))
        ),
      tree: (appId, { depth, limit }) =>
        Effect.map(database.query(treeView, [appId, depth, limit]), (rows) => {
          const first = rows[0]
          if (first === undefined) return null
          return { nodes: rows.map(nodeOf), total: first["total"] as number | null, cursor: first["cursor"] as number }
        }),
      stirredSince: (appId, after) =>
        Effect.map(
          database.query(stirredSince, [appId, after]),
          ([row]) => (row as unknown as Stir | undefined) ?? null
        )
    }
  })
)
