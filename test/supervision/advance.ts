import { type Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/** Lets every fiber that is ready run until it waits for something. */
export const quiesce = Effect.gen(function* () {
  for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
})

/** Moves the test clock, after what is ready has run and so set its timers. */
export const advance = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.andThen(Effect.andThen(quiesce, TestClock.adjust(duration)), quiesce)
