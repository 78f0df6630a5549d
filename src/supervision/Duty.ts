import { Cause, Effect, Latch, Random } from "effect"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import { Telemetry } from "../Telemetry.ts"
import { causeText } from "./CauseText.ts"
import { type ChildSpec, defaultIntensity } from "./ChildSpec.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import { rareWarning } from "./RareWarning.ts"
import { ReplicaLease } from "./ReplicaLease.ts"

// Invariants:
// D1  The body runs only while this replica holds both its own lease and the duty's, by its own monotonic clock counted
//     from before the question was sent; it is interrupted before another replica can be granted the duty.
//     A replica that can't carry it out neither asks for it nor keeps it.
// D2  A body that fails is run again at the next tick; a defect ends the child, which its supervisor restarts.
// A body's effects must stay harmless when two of them overlap all the same (an uninterruptible statement under way):
// duties only find and hint, the row's compare-and-set decides (DESIGN §2).

/** One holding of a duty, from the grant to its loss. */
export interface DutyTerm {
  /** The duty's cursor as it was at the grant. */
  readonly cursor: number
  readonly held: () => boolean
  /** Ends it: the duty is given back and asked for anew. For a body that finds its lease row to be another one's. */
  readonly end: Effect.Effect<void>
}

export interface DutyOptions<E, R> {
  /** Pause between two runs of the body. */
  readonly intervalMs: number
  readonly body: (term: DutyTerm) => Effect.Effect<unknown, E, R>
  /** How long a dead holder blocks the duty. Default 3 s. */
  readonly ttlMs?: number
  /** Whether this replica can carry it out at the moment. Default: always. */
  readonly able?: () => boolean
}

const RELEASE_LIMIT = 1_000
/** Between two looks whether it is still able, milliseconds. */
const ABLE_EVERY = 250

/** A duty that one replica at a time carries out, as a child spec (DESIGN §4 `leases`). */
export const duty = <E, R>(
  name: string,
  options: DutyOptions<E, R>
): ChildSpec<R | ReplicaLease | ReplicaStore | Telemetry> => ({
  id: `duty-${name}`,
  restart: "permanent",
  intensity: defaultIntensity,
  shutdownMs: RELEASE_LIMIT + 500,
  start: Effect.gen(function* () {
    const store = yield* ReplicaStore
    const lease = yield* ReplicaLease
    const telemetry = yield* Telemetry
    const now = yield* monotonicClock
    const ttlMs = options.ttlMs ?? 3_000
    const able = options.able ?? (() => true)
    const runs = telemetry.dutyRuns.of(name)
    const failures = telemetry.dutyFailures.of(name)
    let grantedAt = Number.NEGATIVE_INFINITY

    const held = () => lease.holds() && now() - grantedAt < ttlMs
    telemetry.gauge("duty_held", () => (held() ? 1 : 0), { duty: name })

    /** null: no answer within the limit, or the store failed. */
    const ask = Effect.fnUntraced(function* (limit: number) {
      const from = now()
      const answer = yield* store.holdDuty(name, lease.boot, ttlMs).pipe(
        Effect.timeout(limit),
        Effect.orElseSucceed(() => null)
      )
      if (answer !== null) grantedAt = answer.held ? from : Number.NEGATIVE_INFINITY
      return answer
    })

    /** Ends when somebody else had better carry it out; then it is given up. */
    const disabled = Effect.gen(function* () {
      while (able()) yield* Effect.sleep(ABLE_EVERY)
    })

    /** Ends when the duty is lost, at the latest when its time is over without an answer. */
    const renewals = Effect.gen(function* () {
      let pause = ttlMs / 3
      while (true) {
        yield* Effect.sleep(Math.min(pause, Math.max(0, grantedAt + ttlMs - now())))
        if (!held()) return
        const answer = yield* ask(Math.min(ttlMs / 3, grantedAt + ttlMs - now()))
        pause = answer === null ? ttlMs / 10 : ttlMs / 3
      }
    })

    const warn = rareWarning(now, (text) => `duty ${name} failed and is tried again: ${text}`)
    const failed = (text: string) => {
      failures.add()
      return warn(text)
    }

    const work = Effect.fnUntraced(function* (term: DutyTerm) {
      while (true) {
        if (held()) {
          runs.add()
          yield* options.body(term).pipe(Effect.catch((error) => failed(causeText(Cause.fail(error)))))
        }
        yield* Effect.sleep(options.intervalMs)
      }
    })

    const release = Effect.suspend(() => {
      if (!held()) return Effect.void
      grantedAt = Number.NEGATIVE_INFINITY
      return store.releaseDuty(name, lease.boot).pipe(Effect.timeout(RELEASE_LIMIT), Effect.ignore)
    })

    while (true) {
      const answer = lease.holds() && able() ? yield* ask(ttlMs / 2) : null
      if (answer?.held === true) {
        const ended = yield* Latch.make()
        const term = { cursor: answer.cursor, held, end: Effect.asVoid(ended.open) }
        yield* Effect.raceAllFirst([renewals, disabled, ended.await, work(term)]).pipe(Effect.ensuring(release))
      }
      // Spread out, so that replicas started together do not ask together.
      yield* Effect.sleep((ttlMs / 3) * (yield* Random.nextBetween(0.75, 1.25)))
    }
  })
})
