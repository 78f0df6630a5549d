import { Cache, Effect } from "effect"
import type { StoreError } from "../../storage/StoreError.ts"
import { TreeLog } from "../../storage/TreeLog.ts"
import type { TreeQueries } from "../../storage/TreeQueries.ts"
import { type TreeCursor, treeCursorText } from "../TreeCursor.ts"
import { eventOf } from "../TreeEvents.ts"
import { isWanted, readTree, type TreePage, type TreeSubject } from "../TreeReader.ts"
import { Waiters } from "../Waiters.ts"
import type { Authority } from "./Authority.ts"
import { makeEventQuery } from "./EventQuery.ts"
import { jsonText, pageText } from "./JsonText.ts"
import { json, readInteger, readTimeout, type RestRequest, type Route, valid } from "./Route.ts"

const LIMIT = { min: 1, max: 500, otherwise: 100 }
/** How old what those see may be who wait for any event at all, milliseconds: together they cost one look in that time. */
const FRESH_MS = 200

/**
 * What happens in a tree, or in all of them, as the events that are told everywhere else (PROTOCOL §11): in commit order,
 * without gap or duplicate for whoever goes on behind his cursor.
 */
export const eventRoutes = (
  authority: Authority
): Effect.Effect<ReadonlyArray<Route>, never, TreeLog | TreeQueries | Waiters> =>
  Effect.gen(function* () {
    const log = yield* TreeLog
    const waiters = yield* Waiters
    const readQuery = yield* makeEventQuery(authority)
    const heads = yield* Cache.make({ capacity: 1, timeToLive: FRESH_MS, lookup: (_key: "head") => log.head })

    /** Pages until one has something of these kinds, or there is no more. */
    const find = Effect.fnUntraced(function* (
      subject: TreeSubject,
      from: TreeCursor,
      limit: number
    ): Effect.fn.Return<Omit<TreePage, "more">, StoreError> {
      let after = from
      for (;;) {
        const { more, next, rows }: TreePage = yield* readTree(log, subject, after, limit)
        const found = rows.filter(({ row }) => isWanted(subject, row))
        if (found.length > 0 || !more) return { rows: found, next }
        after = next
      }
    })

    /** Returns when there may be something behind the cursor, at the latest after `ms`. */
    const awaitMore = Effect.fnUntraced(function* ({ appId }: TreeSubject, after: TreeCursor, ms: number) {
      if (appId !== null) {
        yield* waiters.stirred(appId, after.id, ms)
        return
      }
      const wait = Effect.gen(function* () {
        while ((yield* Cache.get(heads, "head")).newest <= after.id) yield* Effect.sleep(FRESH_MS)
      })
      yield* Effect.timeoutOption(wait, ms)
    })

    const handle = Effect.fnUntraced(function* ({ gone, principal, query }: RestRequest) {
      const limit = yield* valid(readInteger(query.limit, "limit", LIMIT))
      const ms = yield* valid(readTimeout(query.timeout, 0))
      const asked = { app: query.app, kind: query.kind, cursor: query.after, cursorName: "after" }
      const { after, subject } = yield* readQuery(principal, asked)
      if (query.after === undefined) return json(pageText([], treeCursorText(after)))
      const until = performance.now() + ms
      const search = Effect.gen(function* () {
        let from = after
        for (;;) {
          const { next, rows } = yield* find(subject, from, limit)
          const left = until - performance.now()
          if (rows.length > 0 || left <= 0) return { rows, next }
          from = next
          yield* awaitMore(subject, from, left)
        }
      })
      const { next, rows } = yield* Effect.raceFirst(search, gone)
      return json(
        pageText(
          rows.map(({ row }) => jsonText(eventOf(row))),
          treeCursorText(next)
        )
      )
    })

    return [
      {
        method: "GET",
        path: "/api/v1/events",
        access: "read",
        nodes: "handler",
        query: ["app", "kind", "after", "limit", "timeout"],
        body: false,
        handle
      }
    ]
  })
