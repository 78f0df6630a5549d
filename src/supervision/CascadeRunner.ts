import { Cause, Effect, Fiber, Semaphore } from "effect"
import { CascadeStore, type RunningCascade } from "../storage/CascadeStore.ts"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import type { Telemetry } from "../Telemetry.ts"
import { causeText } from "./CauseText.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty, type DutyTerm } from "./Duty.ts"
import { HintTarget } from "./HintTarget.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import { rareWarning } from "./RareWarning.ts"
import type { ReplicaLease } from "./ReplicaLease.ts"
import { RetryPauses } from "./RetryPauses.ts"

// Invariants:
// R1  Every operation that is not through is looked at in each round, however many wait before it.
// R2  An operation that fails, or whose statements take long, holds up no other: a round does not wait for it.
// R3  Nobody is forced by a step that follows an absence of the database before the graces have been granted again; and
//     only an absence of the database grants them, not the failure of one operation.

/** How often new operations are looked for. */
const INTERVAL = 250
/** Operations that one statement looks for. */
const PAGE = 100
/** Operations that are moved on at the same time. */
const AT_ONCE = 4
/** What a round waits for the operations of a page; who takes longer goes on beside the next rounds. */
const PATIENCE = 1000
/** Between two rounds while something is under way: the shortest, and so many times as long as the round took. */
const BREATH = 20
const SHARE = 4
const LONGEST = 500
/** The database is heard so often while something is under way. */
const PULSE = 500
/** So long without an answer of it, and answers of nodes may have been lost: a restart, a database that was away. */
const ABSENCE = 2000
/** When an operation that failed is tried again, milliseconds. */
const AGAIN = { firstMs: 1000, lastMs: 30_000 } as const

/**
 * Drives cascades (DESIGN §6): releases their levels, deepest first, and ends whom nobody could reach in time. Where an
 * operation stands is in its tables alone. Two runners at once do no harm, since each step is a condition on the rows that it
 * changes. After a restart or an outage who has been asked gets the whole grace again: its answer could not be heard.
 */
export const cascadeRunner: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  CascadeStore | HintTarget
> = Effect.gen(function* () {
  const store = yield* CascadeStore
  const target = yield* HintTarget
  const now = yield* monotonicClock
  const permits = yield* Semaphore.make(AT_ONCE)
  let heardAt = Number.NEGATIVE_INFINITY
  let owesGrace = false
  let hasMoved = false
  /** Operations that a former round has not waited for. */
  const busy = new Set<string>()
  const pauses = new RetryPauses<string>(now, AGAIN)

  const heard = <A>(statement: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
    Effect.tap(statement, () =>
      Effect.sync(() => {
        owesGrace ||= now() - heardAt > ABSENCE
        heardAt = now()
      })
    )

  const advance = Effect.fnUntraced(function* (id: string) {
    if (owesGrace) return
    const { asked, forced, isFinished } = yield* heard(store.advance(id))
    pauses.succeeded(id)
    for (const { appId, epoch, owner } of forced) if (owner !== null) target.hint(appId, owner, "moved", epoch)
    for (const { appId, epoch, owner } of asked) if (owner !== null) target.hint(appId, owner, "commanded", epoch)
    hasMoved ||= isFinished || asked.length > 0 || forced.length > 0
  })

  const warn = rareWarning(now, (text) => `an operation failed and is tried again: ${text}`)

  const failed = (id: string, text: string) => {
    pauses.failed(id)
    return warn(text)
  }

  const attempt = (id: string) =>
    permits
      .withPermits(1)(advance(id))
      .pipe(
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.void : failed(id, `${id}: ${causeText(cause)}`)
        ),
        Effect.ensuring(Effect.sync(() => busy.delete(id)))
      )

  const isReady = (id: string): boolean => !busy.has(id) && pauses.isOver(id)

  /** True: something is under way. */
  const round = Effect.fnUntraced(function* (term: DutyTerm) {
    const from = now()
    hasMoved = false
    let after: string | null = null
    let isOver = false
    while (!isOver && term.held()) {
      const page: ReadonlyArray<RunningCascade> = yield* heard(store.running(after, PAGE))
      if (owesGrace) {
        if (page.length > 0) yield* store.grant
        owesGrace = false
        pauses.clear()
      }
      const fibers: Array<Fiber.Fiber<void>> = []
      for (const { hasWork, id } of page) {
        if (!hasWork || !isReady(id)) continue
        busy.add(id)
        fibers.push(yield* Effect.forkChild(attempt(id)))
      }
      yield* Effect.timeoutOption(Fiber.awaitAll(fibers), PATIENCE)
      after = page.at(-1)?.id ?? after
      isOver = page.length < PAGE
    }
    yield* Effect.sleep(hasMoved ? BREATH : Math.min(LONGEST, Math.max(BREATH, SHARE * (now() - from))))
    return after !== null
  })

  const pulse = Effect.forever(Effect.andThen(Effect.sleep(PULSE), Effect.ignore(heard(store.running(null, 0)))))

  const rounds = Effect.fnUntraced(function* (term: DutyTerm) {
    busy.clear()
    while (term.held() && (yield* round(term))) {
      // One level after the other, as fast as answers come.
    }
  })

  return duty("cascades", { intervalMs: INTERVAL, body: (term) => Effect.raceFirst(rounds(term), pulse) })
})
