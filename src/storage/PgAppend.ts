import { Effect, Schedule } from "effect"
import type { Connection } from "./Database.ts"
import type { NodeWrite, WriteOutcome } from "./NodeStore.ts"
import { isAboutData, isUndone } from "./PgError.ts"
import { pgJson } from "./PgText.ts"
import { append, appendBinding, appendControl } from "./sql/append.ts"
import { missed } from "./sql/missed.ts"
import type { StoreError } from "./StoreError.ts"
import { writeRecord } from "./WriteRecord.ts"

const COMMITTED: WriteOutcome = { _tag: "Committed" }

const again = Schedule.exponential("2 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 5 }))

const idsOf = (writes: ReadonlyArray<NodeWrite>): string => JSON.stringify(writes.map((write) => write.appId))

const isControl = ({ capable, commands }: NodeWrite): boolean => commands !== undefined || capable !== undefined

/** Positions (in `writes`) that did not match. `writes` must be sorted by id. */
export const compareAndSet = Effect.fnUntraced(function* (
  connection: Connection,
  writes: ReadonlyArray<NodeWrite>,
  project: boolean
) {
  const statement = writes.some(isControl)
    ? appendControl
    : writes.some((write) => write.identity !== undefined)
      ? appendBinding
      : append
  const param = pgJson(writes.map((write, index) => writeRecord(write, index, project)))
  const rows = yield* connection.query(statement, [param]).pipe(Effect.retry({ schedule: again, while: isUndone }))
  return rows.map((row) => row["i"] as number)
})

/** Why the writes did not match: mine from before, somebody else's, or no such node. */
const explain = Effect.fnUntraced(function* (connection: Connection, writes: ReadonlyArray<NodeWrite>) {
  const rows = yield* connection.query(missed, [idsOf(writes)])
  const found = new Map(rows.map((row) => [row["app_id"] as string, row]))
  return writes.map((write): WriteOutcome => {
    const row = found.get(write.appId)
    if (row === undefined) return { _tag: "Missed", exists: false, epoch: 0, n: 0 }
    if (row["write_id"] === write.writeId) return COMMITTED
    return { _tag: "Missed", exists: true, epoch: row["epoch"] as number, n: row["n"] as number }
  })
})

const attempt = Effect.fnUntraced(function* (
  connection: Connection,
  writes: ReadonlyArray<NodeWrite>,
  project: boolean
) {
  const positions = yield* compareAndSet(connection, writes, project)
  const outcomes: Array<WriteOutcome> = writes.map(() => COMMITTED)
  if (positions.length === 0) return outcomes
  const reasons = yield* explain(
    connection,
    positions.map((position) => writes[position]!)
  )
  positions.forEach((position, index) => {
    outcomes[position] = reasons[index]!
  })
  return outcomes
})

type Outcomes = Effect.Effect<ReadonlyArray<WriteOutcome>, StoreError>

/** Halves a refused batch until what is refused stands alone; the rest is committed in between. */
const bisect = (connection: Connection, writes: ReadonlyArray<NodeWrite>): Outcomes => {
  if (writes.length === 1) {
    // Postgres may know a reason against a projection that we do not.
    return attempt(connection, writes, false).pipe(
      Effect.catchIf(isAboutData, ({ message }) => Effect.succeed([{ _tag: "Poisoned" as const, message }]))
    )
  }
  const middle = writes.length >> 1
  return Effect.zipWith(
    batch(connection, writes.slice(0, middle)),
    batch(connection, writes.slice(middle)),
    (first, second) => [...first, ...second]
  )
}

const batch = (connection: Connection, writes: ReadonlyArray<NodeWrite>): Outcomes =>
  attempt(connection, writes, true).pipe(Effect.catchIf(isAboutData, () => bisect(connection, writes)))

const byId = (a: { readonly write: NodeWrite }, b: { readonly write: NodeWrite }): number =>
  a.write.appId < b.write.appId ? -1 : a.write.appId > b.write.appId ? 1 : 0

/** Outcomes in the order of `writes`. */
export const appendBatch = (connection: Connection, writes: ReadonlyArray<NodeWrite>): Outcomes => {
  if (writes.length === 0) return Effect.succeed([])
  // The order of the ids is the lock order of every multi-row writer.
  const sorted = writes.map((write, index) => ({ write, index })).sort(byId)
  return batch(
    connection,
    sorted.map(({ write }) => write)
  ).pipe(
    Effect.map((outcomes) => {
      const ordered: Array<WriteOutcome> = []
      sorted.forEach(({ index }, position) => {
        ordered[index] = outcomes[position]!
      })
      return ordered
    })
  )
}
