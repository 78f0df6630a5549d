import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option } from "effect"
import type { Restart } from "../../src/supervision/ChildSpec.ts"
import { runSupervisor, startSupervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { advance } from "./advance.ts"
import { makeChild, settle, test } from "./scriptedChild.ts"

describe("restart type × exit kind, one_for_one", () => {
  const kinds = {
    success: Exit.succeed("fine"),
    failure: Exit.fail("no pipe"),
    defect: Exit.die(new Error("bug")),
    interruption: Exit.interrupt()
  }
  const restarted: Record<Restart, ReadonlyArray<keyof typeof kinds>> = {
    permanent: ["success", "failure", "defect", "interruption"],
    transient: ["failure", "defect", "interruption"],
    temporary: []
  }
  for (const restart of ["permanent", "transient", "temporary"] as const) {
    for (const kind of ["success", "failure", "defect", "interruption"] as const) {
      const expected = restarted[restart].includes(kind)
      test(
        `${restart} + ${kind} → ${expected ? "restarted" : "done"}`,
        Effect.gen(function* () {
          const log: Array<string> = []
          const sibling = yield* makeChild(log, "sibling")
          const child = yield* makeChild(log, "child", { restart })
          const supervisor = yield* startSupervisor({
            name: "s",
            strategy: "one_for_one",
            children: [sibling.spec, child.spec]
          })
          yield* settle
          child.exit(kinds[kind])
          yield* settle
          assert.deepStrictEqual(
            log.filter((line) => line.startsWith("+")),
            ["+sibling", "+child", ...(expected ? ["+child"] : [])]
          )
          const [, report] = supervisor.children()
          assert.strictEqual(report?.state, expected ? "running" : "done")
          assert.strictEqual(report?.restarts, expected ? 1 : 0)
          assert.strictEqual(
            report?.lastError,
            {
              success: expected ? "ended although it should run for ever" : null,
              failure: "no pipe",
              defect: "Error: bug",
              interruption: "interrupted"
            }[kind]
          )
        })
      )
    }
  }
})

describe("restart", () => {
  test(
    "waits for the delay of the window: 50 ms, then 100 ms",
    Effect.gen(function* () {
      const log: Array<string> = []
      const child = yield* makeChild(log, "a")
      const supervisor = yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [child.spec] })
      for (const delay of [50, 100]) {
        yield* advance(1)
        log.length = 0
        child.exit(Exit.fail("x"))
        yield* advance(delay - 1)
        assert.deepStrictEqual(log, [])
        assert.strictEqual(supervisor.children()[0]?.state, "waiting")
        yield* advance(1)
        assert.deepStrictEqual(log, ["+a"])
      }
    })
  )

  test(
    "counts in /metrics by child",
    Effect.gen(function* () {
      const child = yield* makeChild([], "a")
      yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [child.spec] })
      yield* settle
      child.exit(Exit.fail("x"))
      yield* settle
      const page = yield* (yield* Telemetry).render
      assert.include(page, 'trails_child_restarts_total{child="a"} 1\n')
      assert.include(page, 'trails_child_up{child="a"} 1\n')
    })
  )

  test(
    "of a child that dies in its finalizer is a restart like any other",
    Effect.gen(function* () {
      const log: Array<string> = []
      let lives = 0
      const supervisor = yield* startSupervisor({
        name: "s",
        strategy: "one_for_one",
        children: [
          (yield* makeChild(log, "a", {
            start: Effect.suspend(() =>
              ++lives === 1 ? Effect.ensuring(Effect.void, Effect.die("finalizer")) : Effect.never
            )
          })).spec
        ]
      })
      yield* settle
      assert.strictEqual(lives, 2)
      assert.deepInclude(supervisor.children()[0], { state: "running", lastError: "finalizer" })
    })
  )
})

describe("intensity", () => {
  const failing = (log: Array<string>) => makeChild(log, "a", { intensity: { restarts: 2, withinMs: 10_000 } })

  test(
    "as many failures as allowed: restarted, not escalated",
    Effect.gen(function* () {
      const log: Array<string> = []
      const child = yield* failing(log)
      const supervisor = yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [child.spec] })
      for (let i = 0; i < 2; i++) {
        yield* advance("1 second")
        child.exit(Exit.fail("x"))
      }
      yield* advance("1 second")
      assert.strictEqual(supervisor.children()[0]?.state, "running")
      assert.deepStrictEqual(log, ["+a", "+a", "+a"])
    })
  )

  test(
    "one more within the window: the supervisor stops its other children in reverse and fails",
    Effect.gen(function* () {
      const log: Array<string> = []
      const [b, c] = [yield* makeChild(log, "b"), yield* makeChild(log, "c")]
      const child = yield* failing(log)
      const supervisor = yield* startSupervisor({
        name: "runtime",
        strategy: "one_for_one",
        children: [b.spec, child.spec, c.spec]
      })
      yield* advance("1 second")
      log.length = 0
      for (let i = 0; i < 3; i++) {
        child.exit(Exit.fail("no pipe"))
        yield* advance("1 second")
      }
      const error = yield* Effect.flip(supervisor.escalated)
      assert.deepStrictEqual(log, ["+a", "+a", "-c", "-b"])
      assert.deepInclude(error, { _tag: "SupervisorFailed", reason: "intensity", supervisor: "runtime", child: "a" })
      assert.match(error.message, /a failed more than 2 times within 10 s, last with: no pipe/)
    })
  )

  test(
    "the same failures further apart than the window never escalate",
    Effect.gen(function* () {
      const log: Array<string> = []
      const child = yield* failing(log)
      const supervisor = yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [child.spec] })
      for (let i = 0; i < 6; i++) {
        yield* advance("5100 millis")
        child.exit(Exit.fail("x"))
      }
      yield* advance("5100 millis")
      assert.strictEqual(supervisor.children()[0]?.restarts, 6)
      assert.strictEqual(supervisor.children()[0]?.state, "running")
    })
  )

  test(
    "a nested supervisor that gives up is a failed child of the outer one",
    Effect.gen(function* () {
      const log: Array<string> = []
      const inner = yield* makeChild(log, "inner", { intensity: { restarts: 0, withinMs: 1_000 } })
      const supervisor = yield* startSupervisor({
        name: "outer",
        strategy: "one_for_one",
        children: [
          {
            id: "nested",
            restart: "permanent",
            intensity: { restarts: 3, withinMs: 10_000 },
            shutdownMs: 500,
            start: runSupervisor({ name: "nested", strategy: "one_for_one", children: [inner.spec] })
          }
        ]
      })
      yield* settle
      inner.exit(Exit.fail("x"))
      yield* settle
      assert.deepStrictEqual(log, ["+inner", "+inner"])
      assert.deepInclude(supervisor.children()[0], { state: "running", restarts: 1 })
      assert.match(
        supervisor.children()[0]?.lastError ?? "",
        /^SupervisorFailed: nested: child inner failed more than 0/
      )
    })
  )
})

describe("stopping", () => {
  test(
    "interrupts the children in reverse order and reports each",
    Effect.gen(function* () {
      const log: Array<string> = []
      const children = [yield* makeChild(log, "a"), yield* makeChild(log, "b"), yield* makeChild(log, "c")]
      const supervisor = yield* startSupervisor({
        name: "s",
        strategy: "one_for_one",
        children: children.map((child) => child.spec)
      })
      yield* settle
      log.length = 0
      const reports = yield* supervisor.stop
      assert.deepStrictEqual(log, ["-c", "-b", "-a"])
      assert.deepStrictEqual(
        reports.map((report) => [report.id, report.stopped]),
        [
          ["c", true],
          ["b", true],
          ["a", true]
        ]
      )
      assert.deepStrictEqual(yield* supervisor.stop, reports)
      assert.deepStrictEqual(
        supervisor.children().map((child) => child.state),
        ["stopped", "stopped", "stopped"]
      )
    })
  )

  test(
    "a child that does not end within its budget is reported, and does not keep the others",
    Effect.gen(function* () {
      const log: Array<string> = []
      const free = yield* Deferred.make<void>()
      const a = yield* makeChild(log, "a")
      const deaf = yield* makeChild(log, "deaf", { start: Effect.uninterruptible(Deferred.await(free)) })
      const supervisor = yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [a.spec, deaf.spec] })
      yield* settle
      const stopping = yield* Effect.forkChild(supervisor.stop)
      yield* advance(99)
      assert.strictEqual(supervisor.children()[1]?.state, "stopping")
      assert.deepStrictEqual(log, ["+a"])
      yield* advance(1)
      const reports = yield* Fiber.join(stopping)
      assert.deepStrictEqual(reports, [
        { id: "deaf", stopped: false, tookMs: 100, budgetMs: 100 },
        { id: "a", stopped: true, tookMs: 0, budgetMs: 100 }
      ])
      assert.strictEqual(supervisor.children()[1]?.state, "stuck")
      yield* Deferred.succeed(free, undefined)
    })
  )

  test(
    "nothing is started any more, also when a restart was under way (S4)",
    Effect.gen(function* () {
      const log: Array<string> = []
      const a = yield* makeChild(log, "a")
      const b = yield* makeChild(log, "b")
      const supervisor = yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [a.spec, b.spec] })
      yield* settle
      b.exit(Exit.fail("x"))
      yield* advance(10)
      assert.strictEqual(supervisor.children()[1]?.state, "waiting")
      a.exit(Exit.fail("x"))
      yield* supervisor.stop
      yield* settle
      assert.deepStrictEqual(log, ["+a", "+b"])
    })
  )

  test(
    "closing the scope stops the children",
    Effect.gen(function* () {
      const log: Array<string> = []
      const a = yield* makeChild(log, "a")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [a.spec] })
          yield* settle
        })
      )
      assert.deepStrictEqual(log, ["+a", "-a"])
    })
  )
})

test(
  "nothing escalates by itself",
  Effect.gen(function* () {
    const a = yield* makeChild([], "a")
    const supervisor = yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [a.spec] })
    const waiting = yield* Effect.forkChild(Effect.timeoutOption(supervisor.escalated, "1 minute"))
    yield* advance("1 minute")
    assert.isTrue(Option.isNone(yield* Fiber.join(waiting)))
  })
)
