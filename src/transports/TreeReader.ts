import { Effect } from "effect"
import type { StoreError } from "../storage/StoreError.ts"
import type { TreeLog, TreeLogPage, TreeLogRow, TreeScope } from "../storage/TreeLog.ts"
import type { TreeCursor } from "./TreeCursor.ts"

/** What somebody reads of the log. */
export interface TreeSubject {
  /** null: everything, everywhere. */
  readonly appId: string | null
  readonly scope: TreeScope
  /** The node's own rows too. */
  readonly own: boolean
  /** null: all kinds. */
  readonly kinds: ReadonlySet<string> | null
}

export const isWanted = ({ kinds }: TreeSubject, { kind }: TreeLogRow): boolean => kinds === null || kinds.has(kind)

/** A row, and the cursor behind it. */
export interface TreeRow {
  readonly row: TreeLogRow
  readonly cursor: TreeCursor
}

export interface TreePage {
  /** In commit order, of all kinds. */
  readonly rows: ReadonlyArray<TreeRow>
  /** Behind all that was looked at. */
  readonly next: TreeCursor
  readonly more: boolean
}

/** Up to which id a page is complete. */
const horizonOf = ({ more, rows }: TreeLogPage): number => (more ? (rows.at(-1)?.id ?? 0) : Number.POSITIVE_INFINITY)

/** What is known of two sources in one order: no further than both have been read. */
const merged = (
  sources: { readonly appId: string; readonly newest: number; readonly own: TreeLogPage; readonly below: TreeLogPage },
  after: TreeCursor,
  limit: number
): TreePage => {
  const { appId, below, newest, own } = sources
  const horizon = Math.min(newest, horizonOf(own), horizonOf(below))
  const all = [...own.rows, ...below.rows]
  const known = all.filter(({ id }) => id <= horizon).sort((a, b) => a.id - b.id)
  const rows: Array<TreeRow> = []
  let { n } = after
  for (const row of known) {
    if (rows.length === limit) break
    if (row.appId === appId) n = row.n
    // A cursor without the node's own n has seen some of its rows.
    if (row.id > after.id) rows.push({ row, cursor: { id: row.id, n } })
  }
  return {
    rows,
    next: { id: rows.at(-1)?.row.id ?? after.id, n },
    more: own.more || below.more || known.length < all.length || rows.length === limit
  }
}

/** A page of at most `limit` rows behind the cursor: what `GET events`, `GET watch` and `subscribe` read, each of them. */
export const readTree = Effect.fnUntraced(function* (
  log: TreeLog["Service"],
  { appId, own, scope }: TreeSubject,
  after: TreeCursor,
  limit: number
): Effect.fn.Return<TreePage, StoreError> {
  if (appId !== null && own) {
    // What is committed between two reads is in the second alone: only up to what was there before the first are both whole.
    const { newest } = yield* log.head
    const mine = yield* log.own(appId, after.n, limit)
    const below = yield* log.follow(appId, scope, after.id, limit)
    return merged({ appId, newest, own: mine, below }, after, limit)
  }
  const { more, rows } =
    appId === null ? yield* log.all(after.id, limit) : yield* log.follow(appId, scope, after.id, limit)
  return {
    rows: rows.map((row) => ({ row, cursor: { id: row.id, n: 0 } })),
    next: { id: rows.at(-1)?.id ?? after.id, n: 0 },
    more
  }
})
