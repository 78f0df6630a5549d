import { Effect, Layer } from "effect"
import {
  CASCADE_OUTCOMES,
  type CascadeCounts,
  type CascadeNode,
  type CascadeRow,
  CascadeStore,
  type Exit,
  type NewCascade,
  OPEN_CASCADES,
  type RunningCascade,
  type Touched
} from "./CascadeStore.ts"
import { type Connection, Database, type Row } from "./Database.ts"
import { pgJson, pgOptionalText, pgText } from "./PgText.ts"
import {
  CASCADE_BATCH,
  dueCascade,
  finishCascade,
  FORCED_BATCH,
  forceCascade,
  giveUpCascade,
  grantCascades,
  releaseCascade,
  resolveCascade,
  retryCascade
} from "./sql/cascade/advance.ts"
import { exitsAfter } from "./sql/cascade/exits.ts"
import { beginCascade, knownCascade, lockCascade, previewCascade, withdrawScheduled } from "./sql/cascade/plan.ts"
import { cascadeNodes, listCascades, readCascade } from "./sql/cascade/read.ts"
import { openCascades, runningCascades } from "./sql/cascade/running.ts"

const as = <A>(rows: ReadonlyArray<Row>): ReadonlyArray<A> => rows as ReadonlyArray<unknown> as ReadonlyArray<A>

/** One that asks for nothing is none: who has no tags at all would not hold it. */
const filterOf = ({ filter }: NewCascade): string | null =>
  filter === null || Object.keys(filter).length === 0 ? null : pgJson(filter)

const planOf = (cascade: NewCascade) => {
  const { action, appId, deadlineMs, graceMs, origin, scope } = cascade
  return [appId, scope, filterOf(cascade), pgText(action), graceMs, deadlineMs, origin]
}

/**
 * Only a whole cancel seals: another action ends nothing, and what a filter leaves out goes on to have children
 * (docs/protocol.md §13).
 */
const seals = (cascade: NewCascade): boolean =>
  cascade.action === "cancel" && cascade.scope !== "node" && filterOf(cascade) === null

const NONE = Object.fromEntries(CASCADE_OUTCOMES.map((outcome) => [outcome, 0])) as Omit<
  CascadeCounts,
  "pending" | "asked"
>

/** The plan of an operation, with `id` null of one that was not begun. `withdrawn`: how many ended with it. */
const rowOf = (cascade: NewCascade, id: string | null, row: Row, withdrawn = 0): CascadeRow => {
  const { idempotencyKey: _key, payload: _payload, traceparent: _traceparent, ...common } = cascade
  const [total, ended] = [row["total"] as number, row["ended"] as number]
  return {
    ...common,
    filter: filterOf(cascade) === null ? null : cascade.filter,
    id,
    appName: row["appName"] as string,
    graceMs: row["graceMs"] as number,
    createdAt: row["now"] as number,
    finishedAt: null,
    levels: row["levels"] as number,
    level: row["level"] as number | null,
    total,
    counts: { ...NONE, pending: total - ended - withdrawn, asked: 0, acked: withdrawn, already_terminal: ended }
  }
}

/** `CascadeStore` on SQL, the same for Postgres and PGlite. */
export const layer: Layer.Layer<CascadeStore, never, Database> = Layer.effect(
  CascadeStore,
  Effect.gen(function* () {
    const database = yield* Database

    const release = Effect.fnUntraced(function* (id: string) {
      const asked: Array<Touched> = []
      for (;;) {
        const rows = as<Touched & { readonly asked: boolean }>(yield* database.query(releaseCascade, [id]))
        for (const row of rows) if (row.asked) asked.push(row)
        // A level whose nodes have all ended meanwhile is through with that.
        if (rows.length < CASCADE_BATCH && (asked.length > 0 || rows.length === 0)) return asked
      }
    })

    const force = Effect.fnUntraced(function* (id: string) {
      const due = (yield* database.query(dueCascade, [id])).map((row) => row["appId"])
      const forced: Array<Touched> = []
      for (let from = 0; from < due.length; from += FORCED_BATCH) {
        const some = JSON.stringify(due.slice(from, from + FORCED_BATCH))
        forced.push(...as<Touched>(yield* database.query(forceCascade, [id, some])))
      }
      return forced
    })

    /** What somebody asks for is bounded; what follows from an end is not, and must not get lost. */
    const isFull = Effect.fnUntraced(function* (connection: Connection, { appId, issuedBy, origin }: NewCascade) {
      if (origin !== null) return false
      const [row] = yield* connection.query(openCascades, [appId, pgText(issuedBy), OPEN_CASCADES])
      return row?.["count"] === OPEN_CASCADES
    })

    return {
      begin: Effect.fnUntraced(function* (cascade) {
        const { appId, id, idempotencyKey, issuedBy, payload, reason, traceparent } = cascade
        const isSeal = seals(cascade)
        const made = yield* database.transaction(
          "cascade",
          Effect.fnUntraced(function* (transaction) {
            if (yield* isFull(transaction, cascade)) return "full" as const
            if (isSeal) yield* transaction.query(lockCascade, [appId])
            const [begun] = yield* transaction.query(beginCascade, [
              ...planOf(cascade),
              id,
              payload,
              pgText(reason),
              pgText(issuedBy),
              pgOptionalText(idempotencyKey),
              pgOptionalText(traceparent),
              isSeal
            ])
            if (begun === undefined) return null
            const withdrawn = cascade.action === "cancel" ? yield* transaction.commitWith(withdrawScheduled, [id]) : []
            return rowOf(cascade, id, begun, withdrawn.length)
          })
        )
        if (made !== null && made !== "full") return { _tag: "Begun", id, isNew: true, plan: made }
        const [known] = as<{ readonly id: string; readonly isSame: boolean }>(
          yield* database.query(knownCascade, [
            appId,
            pgText(issuedBy),
            pgOptionalText(idempotencyKey),
            id,
            pgText(cascade.action),
            payload,
            cascade.scope,
            filterOf(cascade),
            pgText(reason),
            cascade.deadlineMs,
            cascade.graceMs
          ])
        )
        if (known !== undefined)
          return known.isSame
            ? { _tag: "Begun", id: known.id, isNew: known.id === id, plan: null }
            : { _tag: "Conflict" }
        return made === "full" ? { _tag: "Full" } : null
      }),
      preview: (cascade) =>
        Effect.map(database.query(previewCascade, planOf(cascade)), ([row]) =>
          row === undefined ? null : rowOf(cascade, null, row)
        ),
      read: (id) => Effect.map(database.query(readCascade, [id]), (rows) => as<CascadeRow>(rows)[0] ?? null),
      list: (appId, after, limit) =>
        Effect.map(database.query(listCascades, [appId, after, limit]), (rows) => as<CascadeRow>(rows)),
      nodes: (id, outcome, after, limit) =>
        Effect.map(
          database.query(cascadeNodes, [id, outcome, after?.depth ?? null, after?.appId ?? null, limit]),
          (rows) => as<CascadeNode>(rows)
        ),
      retry: (id) => Effect.asVoid(database.query(retryCascade, [id])),
      running: (after, limit) =>
        Effect.map(database.query(runningCascades, [after, limit]), (rows) => as<RunningCascade>(rows)),
      advance: Effect.fnUntraced(function* (id) {
        yield* database.query(resolveCascade, [id])
        const forced = yield* force(id)
        yield* database.query(giveUpCascade, [id])
        const asked = yield* release(id)
        const isFinished = asked.length === 0 && (yield* database.query(finishCascade, [id])).length === 1
        return { asked, forced, isFinished }
      }),
      grant: Effect.asVoid(database.query(grantCascades, [])),
      exits: (after, limit) =>
        Effect.map(database.query(exitsAfter, [after, limit]), (rows) => ({
          upTo: (rows[0]?.["upTo"] as number | undefined) ?? after,
          exits: as<Exit>(rows.filter((row) => row["appId"] !== null))
        }))
    }
  })
)
