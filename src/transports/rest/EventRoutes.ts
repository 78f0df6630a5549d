import { Cache, Effect } from "effect"
import { TREE_EVENT_KINDS } from "../../protocol/Subjects.ts"
import { TreeLog, type TreeLogPage, type TreeLogRow } from "../../storage/TreeLog.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { TreeQueries } from "../../storage/TreeQueries.ts"
import { parseCursor } from "../Subscription.ts"
import { eventOf } from "../TreeEvents.ts"
import { Waiters } from "../Waiters.ts"
import type { Authority } from "./Authority.ts"
import { jsonText, pageText } from "./JsonText.ts"
import { badRequest, type Problem } from "./Problem.ts"
import { json, noSuchNode, readInteger, readTimeout, readUuid, type RestRequest, type Route, valid } from "./Route.ts"

const LIMIT = { min: 1, max: 500, otherwise: 100 }
/** How old what those see may be who wait for any event at all, milliseconds: together they cost one look in that time. */
const FRESH_MS = 200

/** Where a reader stands: the log id, and of the node that it asks for its own n. */
interface Cursor {
  readonly id: number
  readonly n: number
}

const CURSOR = /^(\d{1,16})(?:-(\d{1,16}))?$/

const readCursor = (text: string): Cursor | Problem => {
  const [, id, n = "0"] = CURSOR.exec(text) ?? []
  const [readId, readN] = [parseCursor(id ?? "x"), parseCursor(n)]
  return readId === null || readN === null
    ? badRequest("bad_parameter", "after must be a cursor that events have given as next, or 0 for the beginning")
    : { id: readId, n: readN }
}

const cursorText = ({ id, n }: Cursor): string => (n === 0 ? String(id) : `${id}-${n}`)

const readKinds = (text: string | undefined): ReadonlySet<string> | null | Problem => {
  if (text === undefined) return null
  const kinds = text.split(",")
  const unknown = kinds.find((kind) => !(TREE_EVENT_KINDS as ReadonlyArray<string>).includes(kind))
  return unknown === undefined
    ? new Set(kinds)
    : badRequest("bad_parameter", `kind must be one or more of ${TREE_EVENT_KINDS.join(", ")}, separated by commas`)
}

interface Read {
  readonly rows: ReadonlyArray<TreeLogRow>
  readonly next: Cursor
  readonly more: boolean
}

/** Up to which id a page is complete. */
const horizonOf = ({ more, rows }: TreeLogPage): number => (more ? (rows.at(-1)?.id ?? 0) : Number.POSITIVE_INFINITY)

/** What is known of two sources in one order: no further than both have been read. */
const merged = (own: TreeLogPage, below: TreeLogPage, after: Cursor): Read => {
  const horizon = Math.min(horizonOf(own), horizonOf(below))
  const upTo = (rows: ReadonlyArray<TreeLogRow>) => rows.filter(({ id }) => id <= horizon)
  const mine = upTo(own.rows)
  const rows = [...mine, ...upTo(below.rows)].sort((a, b) => a.id - b.id)
  return {
    // A cursor without the node's own n has seen some of its rows.
    rows: rows.filter(({ id }) => id > after.id),
    next: { id: Math.max(after.id, rows.at(-1)?.id ?? 0), n: mine.at(-1)?.n ?? after.n },
    more: own.more || below.more
  }
}

/**
 * What happens in a tree, or in all of them, as the events that are told everywhere else (PROTOCOL §11): in commit order,
 * without gap or duplicate for whoever goes on behind his cursor.
 */
export const eventRoutes = (
  authority: Authority
): Effect.Effect<ReadonlyArray<Route>, never, TreeLog | TreeQueries | Waiters> =>
  Effect.gen(function* () {
    const log = yield* TreeLog
    const queries = yield* TreeQueries
    const waiters = yield* Waiters
    const heads = yield* Cache.make({ capacity: 1, timeToLive: FRESH_MS, lookup: (_key: "head") => log.head })

    const read = Effect.fnUntraced(function* (appId: string | null, after: Cursor, limit: number) {
      if (appId === null) {
        const { more, rows } = yield* log.all(after.id, limit)
        return { rows, more, next: { id: rows.at(-1)?.id ?? after.id, n: 0 } } satisfies Read
      }
      return merged(yield* log.own(appId, after.n, limit), yield* log.follow(appId, "subtree", after.id, limit), after)
    })

    /** Pages until one has something of these kinds, or there is no more. */
    const find = Effect.fnUntraced(function* (
      appId: string | null,
      from: Cursor,
      limit: number,
      kinds: ReadonlySet<string> | null
    ): Effect.fn.Return<Omit<Read, "more">, StoreError> {
      let after = from
      for (;;) {
        const page: Read = yield* read(appId, after, limit)
        const rows = kinds === null ? page.rows : page.rows.filter(({ kind }) => kinds.has(kind))
        if (rows.length > 0 || !page.more) return { rows, next: page.next }
        after = page.next
      }
    })

    /** Returns when there may be something behind the cursor, at the latest after `ms`. */
    const awaitMore = Effect.fnUntraced(function* (appId: string | null, after: Cursor, ms: number) {
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
      const appId = query.app === undefined ? null : yield* valid(readUuid(query.app, "app"))
      const limit = yield* valid(readInteger(query.limit, "limit", LIMIT))
      const kinds = yield* valid(readKinds(query.kind))
      const ms = yield* valid(readTimeout(query.timeout, 0))
      if (appId === null && principal.nodeKey !== null) {
        return yield* badRequest("bad_parameter", "With a node's key, app must name one that it may reach")
      }
      let n = 0
      if (appId !== null) {
        yield* authority.mayRead(principal, appId)
        const standing = yield* queries.standing(appId)
        if (standing === null) return yield* noSuchNode(appId)
        n = standing.n
      }
      const head = yield* log.head
      if (query.after === undefined) return json(pageText([], cursorText({ id: head.newest, n })))
      const after = yield* valid(readCursor(query.after))
      if (after.id > head.drawn) {
        return yield* badRequest("bad_parameter", "after is no cursor of this server's log: begin anew, without after")
      }
      const until = performance.now() + ms
      const search = Effect.gen(function* () {
        let from = after
        for (;;) {
          const { next, rows } = yield* find(appId, from, limit, kinds)
          const left = until - performance.now()
          if (rows.length > 0 || left <= 0) return { rows, next }
          from = next
          yield* awaitMore(appId, from, left)
        }
      })
      const { next, rows } = yield* Effect.raceFirst(search, gone)
      return json(
        pageText(
          rows.map((row) => jsonText(eventOf(row))),
          cursorText(next)
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
