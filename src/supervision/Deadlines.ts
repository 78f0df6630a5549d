import { Effect } from "effect"
import { NodeStore } from "../storage/NodeStore.ts"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { DatabaseHealth } from "./DatabaseHealth.ts"
import type { DeadlineTarget } from "./DeadlineTarget.ts"
import { duty } from "./Duty.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import type { ReplicaLease } from "./ReplicaLease.ts"
import { type Find, makeSweep, SWEEP_LIMIT } from "./Sweep.ts"
import { VerdictHold } from "./VerdictHold.ts"

export interface DeadlineOptions {
  /** DISCONNECT_GRACE: the shortest deadline that a lost socket gets. */
  readonly disconnectGraceMs: number
  /** How long nodes may take to come back after this process or the database was away. Default 10 s. */
  readonly settleMs?: number
}

const INTERVAL = 200

type Requirements = DatabaseHealth | DeadlineTarget | NodeStore | ReplicaLease | ReplicaStore | Telemetry | VerdictHold

/**
 * The sweep over `state_deadline_at` (PROTOCOL §7). A verdict from silence is fair only if the node could have been
 * heard:
 * - while verdicts are held back (`VerdictHold`) or the database does not answer, only `scheduled` nodes are judged;
 * - for `settleMs` after the database (or this process) came back, deadlines that were set before are left alone. A
 *   node that went silent since then has a deadline at least `disconnectGraceMs` after the return; that tells them apart.
 */
export const deadlines = (
  options: DeadlineOptions
): Effect.Effect<ChildSpec<Requirements>, never, DatabaseHealth | DeadlineTarget | NodeStore | VerdictHold> =>
  Effect.gen(function* () {
    const store = yield* NodeStore
    const health = yield* DatabaseHealth
    const hold = yield* VerdictHold
    const now = yield* monotonicClock
    const sweep = yield* makeSweep(() => ({ _tag: "Deadline" }))
    const settleMs = options.settleMs ?? 10_000

    const scheduled = store.due(SWEEP_LIMIT, { status: "scheduled" })
    const queries = (): ReadonlyArray<Find> => {
      const upSince = health.upSince()
      if (upSince === null || hold.held()) return [scheduled]
      const upFor = now() - upSince
      if (upFor >= settleMs) return [store.due(SWEEP_LIMIT)]
      const withinMs = upFor - options.disconnectGraceMs
      return withinMs > 0 ? [scheduled, store.due(SWEEP_LIMIT, { withinMs })] : [scheduled]
    }

    return duty("deadlines", { intervalMs: INTERVAL, body: () => sweep(queries) })
  })
