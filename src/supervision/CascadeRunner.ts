import { Effect } from "effect"
import { CascadeStore, type RunningCascade } from "../storage/CascadeStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty, type DutyTerm } from "./Duty.ts"
import { HintTarget } from "./HintTarget.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import type { ReplicaLease } from "./ReplicaLease.ts"

/** How often new operations are looked for. */
const INTERVAL = 250
/** Operations that one statement looks for. */
const PAGE = 100
/** Between two rounds while something is under way: the shortest, and so many times as long as the round took. */
const BREATH = 20
const SHARE = 4
const LONGEST = 500
/** A pause between two rounds in which answers may have been lost on us: a restart, a database that was away. */
const ABSENCE = 1500

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
  let lastRound = Number.NEGATIVE_INFINITY

  const advance = Effect.fnUntraced(function* (id: string) {
    const { asked, forced, isFinished } = yield* store.advance(id)
    for (const { appId, owner } of forced) if (owner !== null) target.hint(appId, owner, "moved")
    for (const { appId, owner } of asked) if (owner !== null) target.hint(appId, owner, "commanded")
    return isFinished || asked.length > 0
  })

  /** All operations that are not through are looked at, however many wait before them. True: something is under way. */
  const round = Effect.fnUntraced(function* (term: DutyTerm) {
    const from = now()
    let hasMoved = false
    let after: string | null = null
    let isOver = false
    while (!isOver && term.held()) {
      const page: ReadonlyArray<RunningCascade> = yield* store.running(after, PAGE)
      if (after === null && page.length > 0 && now() - lastRound > ABSENCE) yield* store.grant
      for (const { hasWork, id } of page) if (hasWork) hasMoved = (yield* advance(id)) || hasMoved
      after = page.at(-1)?.id ?? after
      isOver = page.length < PAGE
    }
    lastRound = now()
    yield* Effect.sleep(hasMoved ? BREATH : Math.min(LONGEST, Math.max(BREATH, SHARE * (lastRound - from))))
    return after !== null
  })

  return duty("cascades", {
    intervalMs: INTERVAL,
    body: (term): Effect.Effect<void, StoreError> =>
      Effect.gen(function* () {
        while (term.held() && (yield* round(term))) {
          // One level after the other, as fast as answers come.
        }
      })
  })
})
