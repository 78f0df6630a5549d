import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { type CascadeScope, CascadeStore, type Exit } from "../storage/CascadeStore.ts"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty, type DutyTerm } from "./Duty.ts"
import { ReplicaLease } from "./ReplicaLease.ts"

const INTERVAL = 250
const BATCH = 500
const NAME = "exit-policies"
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

/**
 * Executes what parents have laid down at the births of their children (PROTOCOL §2 `supervision`): a reader of the log's
 * ends whose cursor is its lease's. An end may be read twice, by two replicas even: the operation is named by it, and is
 * there once.
 */
export const exitPolicies: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  CascadeStore | ReplicaLease | ReplicaStore
> = Effect.gen(function* () {
  const cascades = yield* CascadeStore
  const replicas = yield* ReplicaStore
  const { boot } = yield* ReplicaLease

  /** How far this holding of the duty has read. */
  let place: { readonly term: DutyTerm | null; cursor: number } = { term: null, cursor: 0 }

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
  })

  return duty(NAME, {
    intervalMs: INTERVAL,
    body: (term): Effect.Effect<void, StoreError> =>
      Effect.gen(function* () {
        if (place.term !== term) place = { term, cursor: term.cursor }
        while (term.held()) {
          const { exits, upTo } = yield* cascades.exits(place.cursor, BATCH)
          if (upTo === place.cursor) return
          for (const exit of exits) yield* execute(exit)
          yield* replicas.advanceDuty(NAME, boot, upTo)
          place.cursor = upTo
        }
      })
  })
})
