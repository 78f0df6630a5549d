import { Effect, Queue } from "effect"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import { type ChildSpec, repeating } from "../supervision/ChildSpec.ts"
import type { ReplicaLease } from "../supervision/ReplicaLease.ts"
import type { ReplicaOutbox } from "./ReplicaOutbox.ts"

// Invariants:
// Q1  Nothing is asked while the lease lasts or the database answers: in ordinary times this costs no message.
// Q2  An answer states a committed row that never changes back. So it is true whenever it arrives and however often, and
//     whoever believes it steps down no more often than it would by its own look at the row, only sooner.
// Q3  Who does not hold its own lease answers nobody: while the database is away for all, nobody looks or answers.

/** Askers that wait for an answer; who finds no room asks again. */
const WAITING = 100
/** Between two looks at the database, and for one, milliseconds. */
const LOOK_EVERY_MS = 1000
const LOOK_LIMIT_MS = 2000

export interface LeaseInquiryEnvironment {
  readonly lease: Pick<ReplicaLease["Service"], "holds" | "isCutOff" | "ttlMs">
  readonly store: Pick<ReplicaStore["Service"], "reaped">
  readonly outbox: Pick<ReplicaOutbox, "cutOff" | "reaped">
}

export interface LeaseInquiry {
  /** That boot asks whether it is reaped. */
  readonly asked: (boot: string) => void
  /** For the supervisor: nothing is asked or answered before they run. */
  readonly children: ReadonlyArray<ChildSpec>
}

/**
 * Tells a replica that is cut off from the database alone from one that shares an outage with all others: it asks them, as
 * often as it would renew its lease, whether the database has it as reaped (docs/protocol.md §17). Only a replica that
 * reaches the database can answer, and only once a reaper has decided.
 */
export const makeLeaseInquiry = ({ lease, outbox, store }: LeaseInquiryEnvironment): Effect.Effect<LeaseInquiry> =>
  Effect.map(Queue.dropping<string>(WAITING), (askers) => {
    const ask = Effect.gen(function* () {
      yield* Effect.sleep(lease.ttlMs / 5)
      // Q1
      if (lease.isCutOff()) outbox.cutOff()
    })

    const answer = Effect.gen(function* () {
      const boots = [...new Set(yield* Queue.takeAll(askers))]
      // Q3
      if (!lease.holds()) return
      const reaped = yield* store.reaped(boots).pipe(
        Effect.timeout(LOOK_LIMIT_MS),
        // They ask again.
        Effect.orElseSucceed(() => [])
      )
      for (const boot of reaped) outbox.reaped(boot)
      yield* Effect.sleep(LOOK_EVERY_MS)
    })

    return {
      asked: (boot) => void Queue.offerUnsafe(askers, boot),
      children: [repeating("replicas/ask", ask), repeating("replicas/answer", answer)]
    }
  })
