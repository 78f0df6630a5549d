import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit } from "effect"
import type { ChildSpec } from "../../src/supervision/ChildSpec.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { advance } from "./advance.ts"
import { makeChild, settle, test } from "./scriptedChild.ts"

describe("rest_for_one", () => {
  const three = Effect.fnUntraced(function* (log: Array<string>, specs: ReadonlyArray<Partial<ChildSpec>> = []) {
    const children = [
      yield* makeChild(log, "a", specs[0]),
      yield* makeChild(log, "b", specs[1]),
      yield* makeChild(log, "c", specs[2])
    ]
    const supervisor = yield* startSupervisor({
      name: "s",
      strategy: "rest_for_one",
      children: children.map((child) => child.spec)
    })
    yield* settle
    log.length = 0
    return { supervisor, a: children[0]!, b: children[1]!, c: children[2]! }
  })

  test(
    "a failing first child takes all later ones down in reverse and up in order",
    Effect.gen(function* () {
      const log: Array<string> = []
      const { a, supervisor } = yield* three(log)
      a.exit(Exit.fail("x"))
      yield* settle
      assert.deepStrictEqual(log, ["-c", "-b", "+a", "+b", "+c"])
      assert.deepStrictEqual(
        supervisor.children().map((child) => child.restarts),
        [1, 1, 1]
      )
    })
  )

  test(
    "a failing last child restarts alone",
    Effect.gen(function* () {
      const log: Array<string> = []
      const { c } = yield* three(log)
      c.exit(Exit.fail("x"))
      yield* settle
      assert.deepStrictEqual(log, ["+c"])
    })
  )

  test(
    "only the failing child's intensity is charged",
    Effect.gen(function* () {
      const log: Array<string> = []
      const { a, supervisor } = yield* three(log, [{}, { intensity: { restarts: 0, withinMs: 60_000 } }])
      for (let i = 0; i < 2; i++) {
        a.exit(Exit.fail("x"))
        yield* settle
      }
      assert.strictEqual(supervisor.children()[1]?.state, "running")
    })
  )

  test(
    "a temporary dependent is stopped and not started again",
    Effect.gen(function* () {
      const log: Array<string> = []
      const { a, supervisor } = yield* three(log, [{}, { restart: "temporary" }])
      a.exit(Exit.fail("x"))
      yield* settle
      assert.deepStrictEqual(log, ["-c", "-b", "+a", "+c"])
      assert.strictEqual(supervisor.children()[1]?.state, "done")
    })
  )

  test(
    "a finished transient dependent is started again, since what it built on is new",
    Effect.gen(function* () {
      const log: Array<string> = []
      const { a, b } = yield* three(log, [{}, { restart: "transient" }])
      b.exit(Exit.succeed("finished"))
      yield* settle
      a.exit(Exit.fail("x"))
      yield* settle
      assert.deepStrictEqual(log, ["-c", "+a", "+b", "+c"])
    })
  )

  test(
    "an earlier failure during the delay of a later one: each is started once (S2)",
    Effect.gen(function* () {
      const log: Array<string> = []
      const { a, b } = yield* three(log)
      b.exit(Exit.fail("x"))
      yield* advance(20)
      a.exit(Exit.fail("x"))
      yield* settle
      assert.deepStrictEqual(log, ["-c", "+a", "+b", "+c"])
    })
  )

  test(
    "a dependent that does not stop escalates instead of running twice (S3)",
    Effect.gen(function* () {
      const log: Array<string> = []
      const free = yield* Deferred.make<void>()
      const deaf = {
        start: Effect.andThen(
          Effect.sync(() => log.push("+deaf")),
          Effect.uninterruptible(Deferred.await(free))
        )
      }
      const { a, supervisor } = yield* three(log, [{}, deaf])
      a.exit(Exit.fail("x"))
      yield* settle
      const error = yield* Effect.flip(supervisor.escalated)
      assert.deepInclude(error, { reason: "stuck", child: "b" })
      assert.deepStrictEqual(log, ["-c"])
      yield* Deferred.succeed(free, undefined)
    })
  )
})
