import { Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import type { LogRow } from "./LogRow.ts"
import { NodeQueries, type Page, type StoredBirth } from "./NodeQueries.ts"
import { pgText } from "./PgText.ts"
import { birthOfApp, childApps, listApps, listCrashes, newestRoots, oneApp, orphans } from "./sql/apps.ts"
import { nodeLog } from "./sql/readLog.ts"

const LARGEST_PAGE = 1000

const limitOf = (limit: number): number => Math.max(1, Math.min(LARGEST_PAGE, Math.trunc(limit)))

/** The least or greatest id that begins so. */
const edgeOf = (prefix: string | undefined, digit: "0" | "f"): string | null =>
  prefix === undefined ? null : prefix.padEnd(32, digit)

/** `NodeQueries` on the views. Keys for `Page.after`: `app_id` of apps and children, `id` of crashes (newest first). */
export const layer: Layer.Layer<NodeQueries, never, Database> = Layer.effect(
  NodeQueries,
  Effect.gen(function* () {
    const database = yield* Database
    const text = (value: string | undefined) => (value === undefined ? null : pgText(value))
    return {
      apps: (filter, page) => {
        const [status, namespace, name] = [filter.status ?? null, text(filter.namespace), text(filter.name)]
        const limit = limitOf(page.limit)
        const range = [edgeOf(filter.prefix, "0"), edgeOf(filter.prefix, "f")]
        return filter.newest === true
          ? database.query(newestRoots, [status, namespace, name, page.after, limit, ...range])
          : database.query(listApps, [
              status,
              namespace,
              filter.parentId ?? null,
              filter.roots === true,
              name,
              page.after,
              limit,
              ...range
            ])
      },
      app: (appId) => Effect.map(database.query(oneApp, [appId]), (rows) => rows[0] ?? null),
      children: (appId, page: Page) => database.query(childApps, [appId, page.after, limitOf(page.limit)]),
      log: (appId, afterN, limit) =>
        Effect.map(
          database.query(nodeLog, [appId, afterN, limitOf(limit)]),
          (rows) => rows as ReadonlyArray<unknown> as ReadonlyArray<LogRow>
        ),
      orphans: (page) => database.query(orphans, [page.after, limitOf(page.limit)]),
      crashes: (page) => database.query(listCrashes, [page.after, limitOf(page.limit)]),
      birth: (appId) =>
        Effect.map(
          database.query(birthOfApp, [appId]),
          (rows) => (rows[0] as unknown as StoredBirth | undefined) ?? null
        )
    }
  })
)
