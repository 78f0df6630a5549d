import { Effect, Latch } from "effect"
import { type ChildSpec, repeating } from "../supervision/ChildSpec.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { monotonicClock } from "../supervision/MonotonicClock.ts"

/** Between two looks when there is always something to look for: at least this, and so many times as long as one took. */
const BREATH_MS = 25
const SHARE = 4

export interface Sweeper {
  /** There may be something new: look soon. */
  readonly stir: () => void
  readonly child: ChildSpec
}

/**
 * Looks every `everyMs`, and at once when it is stirred; then it rests a while, so that one who is stirred all the time
 * looks at most 40 times a second and for at most a fifth of the time. What stirs it during a look is looked for again.
 */
export const makeSweeper = Effect.fnUntraced(function* (
  id: string,
  everyMs: number,
  sweep: Effect.Effect<void, StoreError>
) {
  const stirred = yield* Latch.make()
  const now = yield* monotonicClock
  const round = Effect.gen(function* () {
    yield* Effect.timeoutOption(stirred.await, everyMs)
    // Not in the stack of whoever stirs.
    yield* Effect.yieldNow
    stirred.closeUnsafe()
    const from = now()
    yield* Effect.catch(sweep, (error) => Effect.logDebug("the log was not looked at", id, error.message))
    yield* Effect.sleep(Math.min(everyMs, Math.max(BREATH_MS, SHARE * (now() - from))))
  })
  return { stir: () => void stirred.openUnsafe(), child: repeating(id, round) } satisfies Sweeper
})
