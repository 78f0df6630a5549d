import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { DatabaseHealth } from "../../src/supervision/DatabaseHealth.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { advance } from "./advance.ts"
import { type Condition, FakeDatabase } from "./FakeDatabase.ts"

const run = (body: (database: FakeDatabase, health: DatabaseHealth["Service"]) => Effect.Effect<void>) => {
  const database = new FakeDatabase()
  return Effect.scoped(
    Effect.gen(function* () {
      const health = yield* DatabaseHealth
      yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [health.child] })
      yield* body(database, health)
    })
  ).pipe(Effect.provide(Layer.provideMerge(DatabaseHealth.layer, Layer.mergeAll(database.layer, Telemetry.layer))))
}

describe("database health", () => {
  it.effect("is not up before the first answer, and its first answer is no recovery", () =>
    run((database, health) =>
      Effect.gen(function* () {
        assert.isFalse(health.up())
        assert.isNull(health.downSince())
        yield* advance(0)
        assert.isTrue(health.up())
        assert.strictEqual(health.upSince(), 0)
        assert.isNull(health.recoveredAt())
      })
    )
  )

  it.effect("pings once a second", () =>
    run((database) =>
      Effect.gen(function* () {
        yield* advance("10 seconds")
        assert.strictEqual(database.pings, 11)
      })
    )
  )

  for (const [condition, within] of [
    ["refuses", 1_500],
    ["hangs", 4_500]
  ] as const satisfies ReadonlyArray<[Condition, number]>) {
    it.effect(`a database that ${condition} is down within ${within} ms (issue: /readyz within 5 s)`, () =>
      run((database, health) =>
        Effect.gen(function* () {
          yield* advance("10 seconds")
          database.condition = condition
          yield* advance(within - 600)
          assert.isTrue(health.up())
          yield* advance(600)
          assert.isFalse(health.up())
          assert.isNotNull(health.downSince())
          assert.isNull(health.upSince())
        })
      )
    )

    it.effect(`after it ${condition} it is up within 5 s of its return, with the time of the recovery`, () =>
      run((database, health) =>
        Effect.gen(function* () {
          yield* advance("2 seconds")
          database.condition = condition
          yield* advance("60 seconds")
          assert.isFalse(health.up())
          database.condition = "answers"
          yield* advance("4 seconds")
          assert.isTrue(health.up())
          assert.isAtLeast(health.recoveredAt() ?? 0, 62_000)
          assert.strictEqual(health.upSince(), health.recoveredAt())
          assert.isNull(health.downSince())
        })
      )
    )
  }

  it.effect("one failed ping alone is no outage", () =>
    run((database, health) =>
      Effect.gen(function* () {
        yield* advance(500)
        database.condition = "refuses"
        yield* advance(600)
        database.condition = "answers"
        yield* advance("5 seconds")
        assert.isTrue(health.up())
        assert.strictEqual(health.upSince(), 0)
        assert.isNull(health.recoveredAt())
      })
    )
  )

  it.effect("awaitUp waits for the end of an outage", () =>
    run((database, health) =>
      Effect.gen(function* () {
        yield* advance("2 seconds")
        yield* health.awaitUp
        database.condition = "refuses"
        yield* advance("5 seconds")
        const waiting = yield* Effect.forkChild(health.awaitUp)
        yield* advance("5 seconds")
        assert.isUndefined(waiting.pollUnsafe())
        database.condition = "answers"
        yield* advance("2 seconds")
        yield* Fiber.join(waiting)
      })
    )
  )
})
