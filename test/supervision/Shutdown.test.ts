import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { shutdown, type ShutdownParts, shutdownSteps } from "../../src/supervision/Shutdown.ts"
import { advance, quiesce } from "./advance.ts"

const parts = (log: Array<string>): ShutdownParts => {
  const note = (name: string) => Effect.sync(() => log.push(name))
  return {
    database: note("database"),
    lease: note("lease"),
    writers: note("writers"),
    actors: note("actors"),
    duties: note("duties"),
    drain: note("drain"),
    stopAccepting: note("stopAccepting"),
    withdraw: { withinMs: 500, run: note("withdraw") }
  }
}

const order = ["withdraw", "stopAccepting", "drain", "duties", "actors", "writers", "lease", "database"]

describe("shutdown", () => {
  it.effect("stops from the outside in: the database last, the lease after the writers", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const reports = yield* shutdown(shutdownSteps(parts(log)))
      assert.deepStrictEqual(log, order)
      assert.isTrue(reports.every((report) => report.outcome === "done"))
    })
  )

  it("takes 10 s at most by its budgets, and what the withdrawal may take", () => {
    const parted = parts([])
    assert.isAtMost(
      shutdownSteps(parted).reduce((sum, step) => sum + step.budgetMs, 0),
      10_000 + parted.withdraw.withinMs
    )
  })

  it.effect("a step that overruns is reported, interrupted and left behind", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const stopping = yield* Effect.forkChild(
        shutdown(
          shutdownSteps({
            ...parts(log),
            actors: Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("actors interrupted")))
          })
        )
      )
      yield* advance(1_999)
      assert.deepStrictEqual(log, order.slice(0, 4))
      yield* advance(1)
      const reports = yield* Fiber.join(stopping)
      assert.deepStrictEqual(
        log.toSorted(),
        [...order.filter((name) => name !== "actors"), "actors interrupted"].toSorted()
      )
      assert.deepStrictEqual(reports[4], { name: "actors", outcome: "overrun", tookMs: 2_000, budgetMs: 2_000 })
    })
  )

  it.effect("not even a step that cannot be interrupted keeps the others", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const free = yield* Deferred.make<void>()
      const stopping = yield* Effect.forkChild(
        shutdown(shutdownSteps({ ...parts(log), drain: Effect.uninterruptible(Deferred.await(free)) }))
      )
      yield* advance(2_000)
      const reports = yield* Fiber.join(stopping)
      assert.strictEqual(reports[2]?.outcome, "overrun")
      assert.strictEqual(log.at(-1), "database")
      yield* Deferred.succeed(free, undefined)
    })
  )

  it.effect("a step that fails or dies is reported and does not keep the others", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const reports = yield* shutdown(
        shutdownSteps({
          ...parts(log),
          drain: Effect.fail("no"),
          writers: Effect.die("bug")
        })
      )
      assert.deepStrictEqual(
        reports.map((report) => report.outcome),
        ["done", "done", "failed", "done", "done", "failed", "done", "done"]
      )
      assert.deepStrictEqual(log, ["withdraw", "stopAccepting", "duties", "actors", "lease", "database"])
    })
  )

  it.effect("a second signal does not cut it short", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const stopping = yield* Effect.forkChild(
        shutdown(shutdownSteps({ ...parts(log), drain: Effect.sleep("1 second") }))
      )
      yield* quiesce
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(stopping))
      yield* advance("1 second")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(
        log,
        order.filter((name) => name !== "drain")
      )
    })
  )
})
