import { Effect, Result } from "effect"
import type { Connection, Database, Transaction } from "./Database.ts"
import type { NodeRow } from "./NodeRow.ts"
import type { Birth, BirthOutcome, BirthRequest, NodeWrite } from "./NodeStore.ts"
import { compareAndSet } from "./PgAppend.ts"
import { isAboutData } from "./PgError.ts"
import { pgJson } from "./PgText.ts"
import { insertBirth } from "./sql/insertBirth.ts"
import { lockBirth, lockReplacement } from "./sql/lockBirth.ts"
import { readNodes } from "./sql/readNodes.ts"
import { sealedBy } from "./sql/sealedBy.ts"
import { StoreError } from "./StoreError.ts"
import { birthRecord, type Placement } from "./WriteRecord.ts"

const MOVED = "moved" as const

const read = (connection: Connection, ids: readonly [string, string | null, string | null]) =>
  Effect.map(
    connection.query(readNodes, ids),
    (rows) => new Map((rows as ReadonlyArray<unknown> as ReadonlyArray<NodeRow>).map((row) => [row.appId, row]))
  )

const refused = (message: string) => Effect.fail(new StoreError({ reason: "Refused", operation: "birth", message }))

const placeOf = (appId: string, birth: Birth, parent: NodeRow | null): Placement =>
  parent === null
    ? { parentId: null, rootId: appId, path: [appId], namespace: birth.namespace, originator: birth.originator }
    : {
        parentId: parent.appId,
        rootId: parent.rootId,
        path: [...parent.path, appId],
        namespace: parent.namespace,
        originator: parent.originator
      }

const replaced = Effect.fnUntraced(function* (connection: Connection, write: NodeWrite, project: boolean) {
  const positions = yield* compareAndSet(connection, [write], project)
  if (positions.length !== 0) return yield* Effect.fail(MOVED)
})

/** What the transaction came to; `Settled`: the node is there now, by this birth or another. */
type Settlement<R> = BirthOutcome<R> | { readonly _tag: "Settled"; readonly born: boolean }

/** One run of the transaction; `MOVED`: what it rests on has changed meanwhile, run it again. */
const attempt = <R>(request: BirthRequest<R>, project: boolean) =>
  Effect.fnUntraced(function* (transaction: Transaction) {
    const { appId, decide, parentId, replaces, writeId } = request
    const locked =
      parentId === null
        ? []
        : yield* transaction.query(replaces === null ? lockBirth : lockReplacement, [parentId, replaces])
    const known = locked.length > 0
    // Statements of their own: their snapshots are taken under the locks of the first (DESIGN §4).
    const [[seal], nodes] = yield* Effect.all(
      [
        known ? transaction.query(sealedBy, [parentId]) : Effect.succeed([]),
        read(transaction, [appId, known ? parentId : null, replaces])
      ],
      { concurrency: "unbounded" }
    )
    if (seal !== undefined && seal["root_id"] !== locked[0]?.["root_id"]) return yield* Effect.fail(MOVED)
    const existing = nodes.get(appId)
    if (existing !== undefined) return { _tag: "Exists", row: existing } as Settlement<R>
    const parent = parentId === null ? null : (nodes.get(parentId) ?? null)
    const decision = decide({
      parent,
      sealedBy: (seal?.["app_id"] as string | null | undefined) ?? null,
      existing: null,
      replaced: replaces === null ? null : (nodes.get(replaces) ?? null)
    })
    if (decision._tag === "Refuse") return { _tag: "Refused", refusal: decision.refusal } as Settlement<R>
    if (parentId !== null && parent === null) return yield* refused("a birth was decided without its parent")
    const place = placeOf(appId, decision.birth, parent)
    const param = pgJson(birthRecord(appId, writeId, decision.birth, place, project))
    if (decision.replace === undefined) {
      const rows = yield* transaction.commitWith(insertBirth, [param])
      return { _tag: "Settled", born: rows.length === 1 } as Settlement<R>
    }
    const rows = yield* transaction.query(insertBirth, [param])
    if (rows.length === 1) yield* replaced(transaction, decision.replace, project)
    return { _tag: "Settled", born: rows.length === 1 } as Settlement<R>
  })

const reread = Effect.fnUntraced(function* <R>(
  database: Database["Service"],
  { appId }: BirthRequest<R>,
  born: boolean
) {
  const row = (yield* read(database, [appId, null, null])).get(appId)
  if (row === undefined) return yield* refused("a node was not readable after its birth")
  return { _tag: born ? "Born" : "Exists", row } as BirthOutcome<R>
})

const MOST_RUNS = 5

const run = Effect.fnUntraced(function* <R>(database: Database["Service"], request: BirthRequest<R>, project: boolean) {
  const settled = yield* database.transaction("birth", attempt(request, project)).pipe(
    Effect.retry({ times: MOST_RUNS, while: (error) => error === MOVED }),
    Effect.catchIf(
      (error) => error === MOVED,
      () =>
        Effect.fail(
          new StoreError({
            reason: "Unavailable",
            operation: "birth",
            message: "the birth's tree or the replaced node kept changing: repeat it"
          })
        )
    )
  )
  // Read after the commit: the log's turn, which every writer waits for, is held for no round trip.
  return settled._tag === "Settled" ? yield* reread(database, request, settled.born) : settled
})

/** PROTOCOL §4, DESIGN §4 "Births and seals". */
export const birth = <R>(
  database: Database["Service"],
  request: BirthRequest<R>
): Effect.Effect<BirthOutcome<R>, StoreError> =>
  Effect.result(run(database, request, true)).pipe(
    Effect.flatMap((result) => {
      if (Result.isSuccess(result)) return Effect.succeed(result.success)
      // Postgres may know a reason against a projection that we do not.
      return isAboutData(result.failure) ? run(database, request, false) : Effect.fail(result.failure)
    })
  )
