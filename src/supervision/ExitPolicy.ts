import { randomUUID } from "node:crypto"
import { Cause, Effect } from "effect"
import { type CascadeScope, CascadeStore, type Exit } from "../storage/CascadeStore.ts"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import type { Telemetry } from "../Telemetry.ts"
import { causeText } from "./CauseText.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty, type DutyTerm } from "./Duty.ts"
import { monotonicClock } from "./MonotonicClock.ts"
import { rareWarning } from "./RareWarning.ts"
import { ReplicaLease } from "./ReplicaLease.ts"
import { RetryPauses } from "./RetryPauses.ts"

// Invariants:
// E1  The lease's cursor passes no end whose consequences have not begun: whoever reads on after a restart finds it again.
// E2  An end that fails holds up no other: what is behind it is read on, and the end is tried again.

const INTERVAL = 250
const BATCH = 500
const NAME = "exit-policies"
/** When an end that failed is tried again, milliseconds. */
const AGAIN = { firstMs: 1000, lastMs: 60_000 } as const
/** So many may be open; where that many fail it is not they. */
const MOST_FAILED = 1000
/** What a node gets that has to end because another one has, milliseconds. */
const GRACE = 10_000

interface Consequence {
  /** Whom the operation is about. */
  readonly appId: string
  readonly scope: CascadeScope
  readonly reason: string
  readonly issuedBy: string
}

const consequencesOf = ({ appId, hasDependents, onCrash, parentId }: Exit): ReadonlyArray<Consequence> => {
  const found: Array<Consequence> = []
  if (hasDependents)
    found.push({ appId, scope: "dependents", reason: "parent_exited", issuedBy: "policy:onParentExit" })
  if (parentId !== null && onCrash === "cancel_siblings")
    found.push({ appId: parentId, scope: "siblings", reason: "sibling_crashed", issuedBy: "policy:onCrash" })
  if (parentId !== null && onCrash === "escalate")
    found.push({ appId: parentId, scope: "tree", reason: "child_crashed", issuedBy: "policy:onCrash" })
  return found
}

interface Place {
  readonly term: DutyTerm | null
  /** How far this holding of the duty has read. */
  cursor: number
  /** What the lease says. */
  noted: number
  /** By the id of the end. */
  readonly failed: Map<number, Exit>
  readonly pauses: RetryPauses<number>
}

/**
 * Executes what parents have laid down at the births of their children (PROTOCOL §2 `supervision`): a reader of the log's
 * ends whose cursor is its lease's. An end may be read twice, by two replicas even: the operation is named by it, and is
 * there once. One that fails is tried again beside the reading, and the cursor waits for it.
 */
export const exitPolicies: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  CascadeStore | ReplicaLease | ReplicaStore
> = Effect.gen(function* () {
  const cascades = yield* CascadeStore
  const replicas = yield* ReplicaStore
  const { boot } = yield* ReplicaLease

  const now = yield* monotonicClock

  const placeAt = (term: DutyTerm | null, cursor: number): Place => ({
    term,
    cursor,
    noted: cursor,
    failed: new Map(),
    pauses: new RetryPauses(now, AGAIN)
  })
  let place = placeAt(null, 0)

  const execute = Effect.fnUntraced(function* (exit: Exit) {
    for (const consequence of consequencesOf(exit)) {
      yield* cascades.begin({
        ...consequence,
        id: randomUUID(),
        action: "cancel",
        payload: "null",
        origin: exit.appId,
        graceMs: GRACE,
        deadlineMs: null,
        filter: null,
        idempotencyKey: `${exit.appId}:${exit.n}`,
        traceparent: null
      })
    }
    place.failed.delete(exit.id)
    place.pauses.succeeded(exit.id)
  })

  const warn = rareWarning(now, (text) => `what follows from an end could not begin and is tried again: ${text}`)

  const attempt = (exit: Exit): Effect.Effect<void> =>
    Effect.catchCause(execute(exit), (cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      place.failed.set(exit.id, exit)
      place.pauses.failed(exit.id)
      return warn(causeText(cause))
    })

  const retry = Effect.suspend(() => {
    const due = [...place.failed.values()].filter(({ id }) => place.pauses.isOver(id))
    return Effect.forEach(due, attempt, { discard: true })
  })

  /** As far as everything has begun. */
  const note = Effect.suspend(() => {
    const upTo = Math.min(place.cursor, ...Array.from(place.failed.keys(), (id) => id - 1))
    if (upTo === place.noted) return Effect.void
    place.noted = upTo
    return replicas.advanceDuty(NAME, boot, upTo)
  })

  return duty(NAME, {
    intervalMs: INTERVAL,
    body: (term): Effect.Effect<void, StoreError> =>
      Effect.gen(function* () {
        if (place.term !== term) place = placeAt(term, term.cursor)
        while (term.held()) {
          yield* retry
          const isFull = place.failed.size >= MOST_FAILED
          const { exits, upTo } = yield* cascades.exits(place.cursor, isFull ? 0 : BATCH)
          for (const exit of exits) yield* attempt(exit)
          const isOver = upTo === place.cursor
          place.cursor = upTo
          yield* note
          if (isOver) return
        }
      })
  })
})
