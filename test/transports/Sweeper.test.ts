import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { StoreError } from "../../src/storage/StoreError.ts"
import { makeSweeper } from "../../src/transports/Sweeper.ts"

/** A sweeper under virtual time, and when it looked. */
const sweeping = Effect.fnUntraced(function* (everyMs: number, look: Effect.Effect<void, StoreError> = Effect.void) {
  const looks: Array<number> = []
  const sweeper = yield* makeSweeper(
    "test",
    everyMs,
    Effect.andThen(
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => void looks.push(now))),
      look
    )
  )
  yield* Effect.forkChild(sweeper.child.start)
  yield* Effect.yieldNow
  return { looks, stir: sweeper.stir }
})

describe("a sweep", () => {
  it.effect("comes at its intervals while nothing stirs it", () =>
    Effect.gen(function* () {
      const { looks } = yield* sweeping(1000)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(looks.slice(0, 3), [1000, 2025, 3050])
      assert.strictEqual(looks.length, 9)
    })
  )

  it.effect("comes at once when it is stirred, and at most 40 times a second however often it is", () =>
    Effect.gen(function* () {
      const { looks, stir } = yield* sweeping(3_600_000)
      for (let ms = 0; ms < 990; ms++) {
        stir()
        yield* TestClock.adjust(1)
      }
      assert.strictEqual(looks[0], 0)
      assert.isAtLeast(looks.length, 30)
      assert.isAtMost(looks.length, 40)
    })
  )

  it.effect("takes no more than a fifth of the time when it is slow", () =>
    Effect.gen(function* () {
      const { looks, stir } = yield* sweeping(3_600_000, Effect.sleep(100))
      for (let ms = 0; ms < 1900; ms += 10) {
        stir()
        yield* TestClock.adjust(10)
      }
      assert.deepStrictEqual(looks, [0, 500, 1000, 1500])
    })
  )

  it.effect("that is stirred while it looks looks again", () =>
    Effect.gen(function* () {
      const { looks, stir } = yield* sweeping(3_600_000, Effect.sleep(10))
      stir()
      yield* TestClock.adjust(5)
      stir()
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(looks.length, 2)
    })
  )

  it.effect("goes on after one that failed", () =>
    Effect.gen(function* () {
      const away = new StoreError({ reason: "Unavailable", operation: "log", message: "gone" })
      const { looks } = yield* sweeping(1000, Effect.fail(away))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(looks.length, 2)
    })
  )
})
