import { Effect, Layer } from "effect"
import { Database } from "./Database.ts"
import type { LogRow } from "./LogRow.ts"
import { NodeQueries, type Page, type StoredBirth } from "./NodeQueries.ts"
import { pgText } from "./PgText.ts"
import { birthOfApp, childApps, listApps, listCrashes, oneApp } from "./sql/apps.ts"
import { nodeLog } from "./sql/readLog.ts"

const LARGEST_PAGE = 1000

const limitOf = (limit: number): number => Math.max(1, Math.min(LARGEST_PAGE, Math.trunc(limit)))

/** `NodeQueries` on the views. Keys for `Page.after`: `app_id` of apps and children, `id` of crashes (newest first). */
export const layer: Layer.Layer<NodeQueries, never, Database> = Layer.effect(
  NodeQueries,
  Effect.gen(function* () {
    const database = yield* Database
    const text = (value: string | undefined) => (value === undefined ? null : pgText(value))
    return {
      apps: (filter, page) =>
        database.query(listApps, [
          filter.status ?? null,
          text(filter.namespace),
          filter.parentId ?? null,
          filter.roots === true,
          text(filter.name),
          page.after,
          limitOf(page.limit)
        ]),
      app: (appId) => Effect.map(database.query(oneApp, [appId]), (rows) => rows[0] ?? null),
      children: (appId, page: Page) => database.query(childApps, [appId, page.after, limitOf(page.limit)]),
      log: (appId, afterN, limit) =>
        Effect.map(
          database.query(nodeLog, [appId, afterN, limitOf(limit)]),
          (rows) => rows as ReadonlyArray<unknown> as ReadonlyArray<LogRow>
        ),
      crashes: (page) => database.query(listCrashes, [page.after, limitOf(page.limit)]),
      birth: (appId) =>
        Effect.map(
          database.query(birthOfApp, [appId]),
          (rows) => (rows[0] as unknown as StoredBirth | undefined) ?? null
        )
    }
  })
)
