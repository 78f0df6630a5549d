import { randomUUID } from "node:crypto"
import { Context, Deferred, Effect, Layer, Schedule, Semaphore } from "effect"
import { Database } from "../storage/Database.ts"
import { type LeaseAnswer, ReplicaStore } from "../storage/ReplicaStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { Telemetry } from "../Telemetry.ts"
import { type ChildSpec, defaultIntensity } from "./ChildSpec.ts"
import { DatabaseHealth } from "./DatabaseHealth.ts"
import { LeaseLost } from "./LeaseLost.ts"
import { monotonicClock } from "./MonotonicClock.ts"

// Invariants:
// L1  `holds` turns false on this side before the row expires in the database: a grant counts from before the question
//     was sent, by a clock that never goes back.
// L2  A lost lease is never held again by this boot.
// L3  After `release` no renewal reaches the database.
// L4  The word of another replica ends nothing while this one's own lease lasts or its latest renewal was answered.
// The lease decides who may reap whom; what fences a write is the epoch in the write itself (DESIGN §2).

/** Failed renewals in a row before an expired lease is given up: a stall of the event loop makes one late, not three. */
const GIVE_UP_AFTER = 3

/**
 * Of a lease's length, between two renewals, before they count as disturbed. Another replica's renewal may have been up
 * to 1/5 older when the disturbance began, and may come up to 1/3 + 1/15 after its end: together less than a whole one.
 */
const LONGEST_PAUSE = 0.3

export interface LeaseOptions {
  /** SERVER_INSTANCE, a display name. */
  readonly instance: string
  readonly version: string
  /** REPLICA_LEASE. Default 15 s: generous against a stalled event loop. */
  readonly ttlMs?: number
  /** Default: a fresh UUID. */
  readonly boot?: string
}

/** This process's lease in `replicas` (DESIGN §2): what tells the other replicas that its sessions are alive. */
export class ReplicaLease extends Context.Service<
  ReplicaLease,
  {
    /** UUID of this boot. */
    readonly boot: string
    readonly ttlMs: number
    readonly holds: () => boolean
    /**
     * Milliseconds for which renewals have followed one another without a pause that would have mattered to anybody's
     * lease; 0 during such a pause. While this is less than a lease length, others may just not have had the chance to
     * renew theirs.
     */
    readonly steadyFor: () => number
    /** It has run out, and the database did not answer the latest renewal: whether it is lost only others can say. */
    readonly isCutOff: () => boolean
    /** Another replica says that the database has this boot as reaped: lost, if this one is cut off (L4). */
    readonly heedReaped: (witness: string) => Effect.Effect<void>
    /** Fails when the lease is lost: step down. Never succeeds. */
    readonly lost: Effect.Effect<never, LeaseLost>
    /** Ends the lease on a clean stop, so that nobody has to wait for it to expire. May be called again. */
    readonly release: Effect.Effect<void>
    /** The renewals. */
    readonly child: ChildSpec
  }
>()("trails/supervision/ReplicaLease") {
  /** Holds the lease when built; waits for a database that is away. Released with the layer at the latest. */
  static readonly layer = (
    options: LeaseOptions
  ): Layer.Layer<ReplicaLease, StoreError, Database | DatabaseHealth | ReplicaStore | Telemetry> =>
    Layer.effect(
      this,
      Effect.gen(function* () {
        const { kind, ping } = yield* Database
        const health = yield* DatabaseHealth
        const store = yield* ReplicaStore
        const now = yield* monotonicClock
        const ttlMs = options.ttlMs ?? 15_000
        const replica = { boot: options.boot ?? randomUUID(), instance: options.instance, version: options.version }
        const lost = yield* Deferred.make<never, LeaseLost>()
        const one = yield* Semaphore.make(1)
        let grantedAt = Number.NEGATIVE_INFINITY
        let steadySince = 0
        let over = false
        /** Renewals in a row that failed. */
        let failures = 0

        const holds = () => !over && now() - grantedAt < ttlMs

        const ask = Effect.suspend(() => {
          if (over) return Effect.succeed<LeaseAnswer>("granted")
          const from = now()
          return Effect.map(store.renew(replica, ttlMs), (answer) => {
            if (answer !== "granted" || over) return answer
            if (from - grantedAt > ttlMs * LONGEST_PAUSE) steadySince = from
            grantedAt = from
            return answer
          })
        })
        const renew = one.withPermit(ask)

        const answers = ping.pipe(
          Effect.timeout(ttlMs / 3),
          Effect.match({ onFailure: () => false, onSuccess: () => true })
        )

        const isCutOff = () => !over && failures > 0 && !holds()

        const stepDown = Effect.fnUntraced(function* (reason: LeaseLost["reason"], message: string) {
          if (over) return
          over = true
          yield* Effect.logError(message)
          yield* Deferred.fail(lost, new LeaseLost({ reason, boot: replica.boot, message }))
        })

        const renewals = Effect.gen(function* () {
          failures = 0
          let awayAt = Number.NEGATIVE_INFINITY
          while (!over) {
            yield* Effect.sleep(failures === 0 ? ttlMs / 5 : ttlMs / 15)
            const answer = yield* renew.pipe(
              Effect.timeout(ttlMs / 3),
              Effect.match({ onFailure: () => "failed" as const, onSuccess: (answer) => answer })
            )
            if (answer === "granted") {
              failures = 0
              continue
            }
            if (answer === "outdated") {
              return yield* stepDown(
                "outdated",
                "a newer trailsd has changed the database, and this version can't work on it any more. Upgrade this replica"
              )
            }
            if (answer === "reaped") {
              return yield* stepDown(
                "reaped",
                "another replica took this one for dead and took over its nodes: its lease was not renewed for " +
                  `${ttlMs / 1000} s. Look for a frozen process or a starved machine`
              )
            }
            failures++
            if (!(yield* answers)) awayAt = now()
            // Time without a database does not count: nobody can have reaped anything meanwhile. A short lease is over before
            // the health has noticed.
            const since = Math.max(grantedAt, awayAt, health.upSince() ?? Number.POSITIVE_INFINITY)
            if (failures >= GIVE_UP_AFTER && now() - since > ttlMs) {
              return yield* stepDown(
                "expired",
                `this replica could not renew its lease for ${ttlMs / 1000} s although the database answers. ` +
                  "Look for an exhausted connection pool or statements that time out"
              )
            }
          }
        })

        const heedReaped = (witness: string) =>
          Effect.suspend(() =>
            isCutOff()
              ? stepDown(
                  "reaped",
                  "another replica took this one for dead and took over its nodes: it has not reached the database for " +
                    `${ttlMs / 1000} s, which replica ${witness} reaches and has it from. ` +
                    "Look for what lies between this machine and the database"
                )
              : Effect.void
          )

        const release = Effect.suspend(() => {
          if (over) return Effect.void
          over = true
          return one.withPermit(store.release(replica.boot)).pipe(
            Effect.timeout("800 millis"),
            Effect.catch(() => Effect.logWarning("the lease could not be released; it expires by itself"))
          )
        })

        if (kind === "pglite") yield* store.expireOthers(replica.boot)
        yield* renew.pipe(
          Effect.tapError((error) => Effect.logWarning(`waiting for the database: ${error.message}`)),
          Effect.retry({ schedule: Schedule.spaced("1 second"), while: (error) => error.isRetryable })
        )
        yield* Effect.addFinalizer(() => release)
        const telemetry = yield* Telemetry
        telemetry.gauge("lease_held", () => (holds() ? 1 : 0))

        return {
          boot: replica.boot,
          ttlMs,
          holds,
          steadyFor: () => (holds() && now() - grantedAt <= ttlMs * LONGEST_PAUSE ? now() - steadySince : 0),
          isCutOff,
          heedReaped,
          lost: Deferred.await(lost),
          release,
          child: {
            id: "replica-lease",
            // Ends by itself only when the lease is lost or released: then there is nothing to start again.
            restart: "transient",
            intensity: defaultIntensity,
            shutdownMs: 1_000,
            start: renewals
          }
        }
      })
    )
}
