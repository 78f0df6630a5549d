import { Effect } from "effect"
import type { DueNode } from "../storage/NodeStore.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { DeadlineTarget, type SweepMessage } from "./DeadlineTarget.ts"
import { monotonicClock } from "./MonotonicClock.ts"

/** Rows per query. */
export const SWEEP_LIMIT = 500

/** A node that is still found so long after it was told is told again: its actor may have died with the message. */
const TELL_AGAIN = 2_000

/** Pause before the next batch, for the actors to move their rows out of it. */
const BREATH = 20

/** Full batches in a row without a node that is new in them before the sweep leaves the rest to the next tick. */
const MAX_IDLE_BATCHES = 5

export type Find = Effect.Effect<ReadonlyArray<DueNode>, StoreError>

/**
 * Makes a sweep that tells each node that the queries find, once in a while per node, and goes on at once while batches
 * are full and bring new nodes. `queries` is asked before each round, so that it can change its mind under way.
 */
export const makeSweep = Effect.fnUntraced(function* (messageFor: (node: DueNode) => SweepMessage) {
  const target = yield* DeadlineTarget
  const now = yield* monotonicClock
  // In the order of telling, so the outdated ones come first. Bounded by what can be told within TELL_AGAIN.
  const told = new Map<string, number>()

  const forget = () => {
    const before = now() - TELL_AGAIN
    for (const [appId, at] of told) {
      if (at > before) return
      told.delete(appId)
    }
  }

  return Effect.fnUntraced(function* (queries: () => ReadonlyArray<Find>) {
    let idle = 0
    while (idle < MAX_IDLE_BATCHES) {
      let full = false
      let fresh = false
      for (const find of queries()) {
        const batch = yield* find
        if (batch.length >= SWEEP_LIMIT) full = true
        forget()
        for (const node of batch) {
          const { appId } = node
          if (told.has(appId) || !target.tell(appId, messageFor(node))) continue
          told.set(appId, now())
          fresh = true
        }
      }
      if (!full) return
      idle = fresh ? 0 : idle + 1
      yield* Effect.sleep(BREATH)
    }
  })
})
