import { Effect } from "effect"
import { Database } from "../storage/Database.ts"
import { NodeStore } from "../storage/NodeStore.ts"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import type { DeadlineTarget } from "./DeadlineTarget.ts"
import { duty } from "./Duty.ts"
import { ReplicaLease } from "./ReplicaLease.ts"
import { makeSweep, SWEEP_LIMIT } from "./Sweep.ts"

const INTERVAL = 1_000

/**
 * Of a lease's length, for which a look for expired ones may be on its way. Its own latest renewal was LONGEST_PAUSE before
 * it at most; another's lease that could not be renewed since lasts 0.8 of its length from there.
 */
const LOOK_ALLOWANCE = 0.2

/**
 * Finds the nodes of dead replicas (DESIGN §2). A lease that ran out proves a death only if it could have been renewed:
 * the reaper acts when its own renewals have worked for a whole lease length without a pause. Whoever lives has renewed by
 * then, also after an outage of the database in which every lease ran out; and a look that such an outage held up until its
 * end marks nobody. Replicas are marked before their nodes are
 * told, so that one that wakes up late learns it at its next renewal. On PGlite nobody else can live, and there is
 * nothing to wait for.
 */
export const reaper: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  Database | DeadlineTarget | NodeStore | ReplicaLease | ReplicaStore
> = Effect.gen(function* () {
  const { kind } = yield* Database
  const lease = yield* ReplicaLease
  const replicas = yield* ReplicaStore
  const store = yield* NodeStore
  const sweep = yield* makeSweep(({ owner }) => ({ _tag: "Orphaned", owner }))
  const queries = () => [store.orphaned(SWEEP_LIMIT)]

  const isEntitled = () => kind === "pglite" || lease.steadyFor() >= lease.ttlMs

  return duty("reaper", {
    intervalMs: INTERVAL,
    body: () =>
      Effect.gen(function* () {
        if (!isEntitled()) return
        const at = yield* replicas.now
        // Of the time after the database said so.
        if (!isEntitled()) return
        const boots = yield* replicas.reapExpired(lease.boot, at + LOOK_ALLOWANCE * lease.ttlMs)
        if (boots.length > 0) yield* Effect.logWarning(`replicas found dead: ${boots.join(", ")}`)
        yield* sweep(queries)
      })
  })
})
