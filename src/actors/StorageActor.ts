import { Cause, Context, Effect, Exit, Latch, Layer } from "effect"
import type { ChildSpec } from "../supervision/ChildSpec.ts"
import { defaultIntensity } from "../supervision/ChildSpec.ts"
import { monotonicClock } from "../supervision/MonotonicClock.ts"
import { NodeStore, type NodeWrite, type WriteOutcome } from "../storage/NodeStore.ts"
import { Telemetry } from "../Telemetry.ts"
import { StoreError } from "../storage/StoreError.ts"

/** Bounds of one statement: some hundred rows (DESIGN §3), and bytes for the day when each carries a megabyte. */
const BATCH_ROWS = 400
const BATCH_BYTES = 4 * 1024 * 1024
const RETRY_FIRST_MS = 50
const RETRY_LAST_MS = 1000

interface Waiting {
  readonly write: NodeWrite
  readonly bytes: number
  readonly resume: (outcome: Effect.Effect<WriteOutcome, StoreError>) => void
}

/** One lane: a connection and what waits for it. */
interface Lane {
  readonly index: number
  pending: Array<Waiting>
  readonly wake: Latch.Latch
  /** Why the batch under way is not stored yet. */
  trouble: string | null
}

export interface StorageActorStats {
  readonly waiting: number
  readonly batches: number
  readonly rows: number
  readonly retries: number
  /** Why a lane waits at the moment; null while all is well. */
  readonly trouble: string | null
}

/**
 * The storage actors: group commit (DESIGN §3). No fixed delay: a batch is what accumulated while the previous commit
 * of the lane was under way. Invariants:
 * - S1 a node's writes go by one lane, in order; it has at most one write under way (its actor waits).
 * - S2 an answer comes after the commit (ack after commit).
 * - S3 a failure whose outcome is not known, or that is not about what is written (a missing table, a revoked right),
 *   repeats the same batch with the same `writeId`s until the database takes it; the compare-and-set makes the repetition
 *   harmless (P2). Nobody is told "failed" meanwhile: back-pressure (P17).
 * - S4 a defect in a batch takes down the turn of the one node that provoked it, neither its neighbours nor the lane.
 */
export class StorageActor extends Context.Service<
  StorageActor,
  {
    /** Waits for the commit. Fails only with StoreError `Closed`, when this process stops. */
    readonly write: (write: NodeWrite) => Effect.Effect<WriteOutcome, StoreError>
    readonly stats: () => StorageActorStats
    /** One per lane, for the supervisor: nothing is written before they run. */
    readonly children: ReadonlyArray<ChildSpec>
  }
>()("trails/actors/StorageActor") {
  static readonly layer = Layer.effect(
    this,
    Effect.suspend(() => make)
  )
}

const closed = new StoreError({
  reason: "Closed",
  operation: "append",
  message: "trailsd is stopping; the message was not stored and is not acked"
})

const sizeOf = (write: NodeWrite): number => {
  let bytes = 512
  for (const row of write.rows) bytes += 256 + (row.frame?.length ?? 0) + (row.bytes?.length ?? 0)
  return bytes + (write.snapshot?.payload.length ?? 0)
}

/** Takes what fits into one statement; always at least one. */
const nextBatch = (lane: Lane): Array<Waiting> => {
  let rows = 0
  let bytes = 0
  let count = 0
  for (const waiting of lane.pending) {
    rows += waiting.write.rows.length
    bytes += waiting.bytes
    if (count > 0 && (rows > BATCH_ROWS || bytes > BATCH_BYTES)) break
    count++
  }
  if (count === lane.pending.length) {
    const all = lane.pending
    lane.pending = []
    return all
  }
  return lane.pending.splice(0, count)
}

const make = Effect.gen(function* () {
  const store = yield* NodeStore
  const telemetry = yield* Telemetry
  const now = yield* monotonicClock
  const lanes: Array<Lane> = []
  const counters = { batches: 0, rows: 0, retries: 0, stopping: false }

  const fail = (batch: ReadonlyArray<Waiting>, error: StoreError) => {
    for (const waiting of batch) waiting.resume(Effect.fail(error))
  }

  /** S3: only an answer of the database, or the end of this process, ends it. */
  const commit = Effect.fnUntraced(function* (lane: Lane, batch: ReadonlyArray<Waiting>) {
    const writes = batch.map((waiting) => waiting.write)
    let delay = RETRY_FIRST_MS
    while (true) {
      const from = now()
      const exit = yield* Effect.exit(store.append(lane.index, writes))
      if (Exit.isSuccess(exit)) {
        lane.trouble = null
        counters.batches++
        telemetry.appendBatch.record(batch.length)
        telemetry.appendSeconds.record((now() - from) / 1000)
        for (let i = 0; i < batch.length; i++) {
          counters.rows += writes[i]!.rows.length
          batch[i]!.resume(Effect.succeed(exit.value[i]!))
        }
        return
      }
      const error = Cause.findErrorOption(exit.cause)
      if (error._tag === "None") return yield* Effect.die(Cause.squash(exit.cause))
      if (error.value.reason === "Closed") return fail(batch, error.value)
      if (error.value.isAboutData) {
        const message = error.value.message
        for (const waiting of batch) waiting.resume(Effect.succeed({ _tag: "Poisoned", message }))
        return
      }
      counters.retries++
      lane.trouble = error.value.message
      if (delay === RETRY_LAST_MS)
        yield* Effect.logWarning("the database does not answer; waiting", error.value.message)
      yield* Effect.sleep(delay)
      delay = Math.min(delay * 2, RETRY_LAST_MS)
    }
  })

  /** S4 */
  const settle = (lane: Lane, batch: ReadonlyArray<Waiting>): Effect.Effect<void> =>
    Effect.onInterrupt(commit(lane, batch), () => Effect.sync(() => fail(batch, closed))).pipe(
      Effect.catchDefect((defect) =>
        batch.length > 1
          ? Effect.forEach(batch, (waiting) => settle(lane, [waiting]), { discard: true })
          : Effect.sync(() => batch[0]!.resume(Effect.die(defect)))
      )
    )

  const run = (lane: Lane) =>
    Effect.gen(function* () {
      while (true) {
        if (lane.pending.length === 0) {
          lane.wake.closeUnsafe()
          yield* lane.wake.await
        }
        const batch = nextBatch(lane)
        if (batch.length > 0) yield* settle(lane, batch)
      }
    })

  for (let index = 0; index < store.lanes; index++)
    lanes.push({ index, pending: [], wake: yield* Latch.make(), trouble: null })

  const children = lanes.map((lane): ChildSpec => ({
    id: `storage/${lane.index}`,
    restart: "permanent",
    intensity: defaultIntensity,
    shutdownMs: 5000,
    start: run(lane)
  }))

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      counters.stopping = true
      for (const lane of lanes) fail(lane.pending.splice(0), closed)
    })
  )

  const laneOf = (appId: string): Lane => lanes[Number.parseInt(appId.slice(0, 8), 16) % lanes.length]!

  return {
    children,
    write: (write: NodeWrite) =>
      Effect.callback<WriteOutcome, StoreError>((resume) => {
        if (counters.stopping) return resume(Effect.fail(closed))
        const lane = laneOf(write.appId)
        lane.pending.push({ write, bytes: sizeOf(write), resume })
        lane.wake.openUnsafe()
      }),
    stats: () => ({
      waiting: lanes.reduce((sum, lane) => sum + lane.pending.length, 0),
      batches: counters.batches,
      rows: counters.rows,
      retries: counters.retries,
      trouble: lanes.find((lane) => lane.trouble !== null)?.trouble ?? null
    })
  }
})
