import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Effect } from "effect"
import { duty } from "../../src/supervision/Duty.ts"
import { startSupervisor, type Supervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { advance, quiesce } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { FakeReplicas } from "./FakeReplicas.ts"
import { replicaLayer, startReplica } from "./replica.ts"

class Unlucky extends Data.TaggedError("Unlucky")<{}> {}

const TTL = 5_000

const makeWorld = () => {
  const database = new FakeDatabase()
  const replicas = new FakeReplicas(database)
  const runs: Array<string> = []
  /** Starts a replica whose duty notes its runs; `body` says what a run does then. */
  const start = <E>(boot: string, body: Effect.Effect<unknown, E> = Effect.void) =>
    Effect.gen(function* () {
      yield* startReplica
      const supervisor = yield* startSupervisor({
        name: boot,
        strategy: "one_for_one",
        children: [
          duty("sweep", {
            intervalMs: 200,
            ttlMs: TTL,
            body: ({ cursor }) =>
              Effect.andThen(
                Effect.sync(() => runs.push(`${boot}@${cursor}`)),
                body
              )
          })
        ]
      })
      yield* quiesce
      return { supervisor, telemetry: yield* Telemetry }
    })
  return { database, replicas, runs, start, layer: (boot: string) => replicaLayer(boot, database, replicas) }
}

type World = ReturnType<typeof makeWorld>

const one = (body: (world: World) => Effect.Effect<void, unknown, never>) => body(makeWorld())

/** Two replicas over the same rows; `a` was first. */
const two = (body: (world: World, a: Supervisor, b: Supervisor) => Effect.Effect<void>) => {
  const world = makeWorld()
  return Effect.scoped(
    Effect.gen(function* () {
      const a = yield* world.start("a")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const b = yield* world.start("b")
          yield* body(world, a.supervisor, b.supervisor)
          world.replicas.cut.clear()
          world.replicas.lateMs.clear()
        })
      ).pipe(Effect.provide(world.layer("b")))
    })
  ).pipe(Effect.provide(world.layer("a")))
}

const of = (runs: ReadonlyArray<string>, boot: string) => runs.filter((run) => run.startsWith(`${boot}@`)).length

describe("a duty with two replicas", () => {
  it.effect("runs at its interval on the first holder only, with the cursor", () =>
    two(({ runs }) =>
      Effect.gen(function* () {
        yield* advance("1 minute")
        assert.strictEqual(of(runs, "a"), 301)
        assert.strictEqual(of(runs, "b"), 0)
        assert.strictEqual(runs[0], "a@7")
      })
    )
  )

  it.effect("moves to the survivor when the holder stops renewing, and the two never overlap (D1)", () =>
    two(({ replicas, runs }) =>
      Effect.gen(function* () {
        // What a hears is a second old: its time has to count from its question.
        replicas.lateMs.set("a", 1_000)
        yield* advance("10 seconds")
        replicas.cut.add("a")
        const cutAt = yield* Clock.currentTimeMillis
        let firstOfB = 0
        let lastOfA = 0
        for (let step = 0; step < 100; step++) {
          const [a, b] = [of(runs, "a"), of(runs, "b")]
          yield* advance(100)
          const at = yield* Clock.currentTimeMillis
          if (of(runs, "a") > a) lastOfA = at
          if (of(runs, "b") > b && firstOfB === 0) firstOfB = at
        }
        assert.isAbove(firstOfB, lastOfA)
        assert.isAtMost(lastOfA, cutAt + TTL)
        assert.isAtMost(firstOfB, cutAt + TTL + 0.5 * TTL * 1.25 + 100)
      })
    )
  )

  it.effect("moves at the next poll when the holder stops cleanly", () =>
    two(({ replicas, runs }, a) =>
      Effect.gen(function* () {
        yield* advance("10 seconds")
        yield* a.stop
        assert.isUndefined(replicas.duties.get("sweep"))
        yield* advance(0.5 * TTL * 1.25)
        assert.isAbove(of(runs, "b"), 0)
      })
    )
  )

  it.effect("a holder that comes back finds the duty taken and leaves it alone", () =>
    two(({ replicas, runs }) =>
      Effect.gen(function* () {
        replicas.cut.add("a")
        yield* advance("12 seconds")
        replicas.cut.delete("a")
        const before = of(runs, "a")
        yield* advance("30 seconds")
        assert.strictEqual(of(runs, "a"), before)
        assert.strictEqual(replicas.duties.get("sweep")?.boot, "b")
      })
    )
  )
})

describe("a replica that can't carry a duty out", () => {
  it.effect("neither takes it nor keeps it, and has it again when it can and nobody else holds it", () => {
    const world = makeWorld()
    let isAble = false
    return Effect.scoped(
      Effect.gen(function* () {
        yield* startReplica
        const body = () => Effect.sync(() => world.runs.push("a@"))
        const child = duty("sweep", { intervalMs: 200, ttlMs: TTL, able: () => isAble, body })
        yield* startSupervisor({ name: "a", strategy: "one_for_one", children: [child] })
        yield* advance("1 minute")
        assert.isUndefined(world.replicas.duties.get("sweep"))
        isAble = true
        yield* advance(0.5 * TTL)
        assert.isAbove(world.runs.length, 0)
        isAble = false
        yield* advance(300)
        assert.isUndefined(world.replicas.duties.get("sweep"))
        const before = world.runs.length
        yield* advance("1 minute")
        assert.strictEqual(world.runs.length, before)
      })
    ).pipe(Effect.provide(world.layer("a")))
  })
})

describe("a duty's body", () => {
  it.effect("that fails is run again at the next tick and counted (D2)", () =>
    one((world) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { supervisor, telemetry } = yield* world.start("a", Effect.fail(new Unlucky()))
          yield* advance("2 seconds")
          assert.strictEqual(world.runs.length, 11)
          assert.strictEqual(supervisor.children()[0]?.restarts, 0)
          const page = yield* telemetry.render
          assert.include(page, 'trails_duty_runs_total{duty="sweep"} 11\n')
          assert.include(page, 'trails_duty_failures_total{duty="sweep"} 11\n')
          assert.include(page, 'trails_duty_held{duty="sweep"} 1\n')
        })
      ).pipe(Effect.provide(world.layer("a")))
    )
  )

  it.effect("that dies ends the child, which gives the duty back and is restarted (D2)", () =>
    one((world) => {
      let deaths = 0
      return Effect.scoped(
        Effect.gen(function* () {
          const { supervisor } = yield* world.start(
            "a",
            Effect.suspend(() => (deaths++ === 0 ? Effect.die("bug") : Effect.void))
          )
          yield* advance("2 seconds")
          assert.deepInclude(supervisor.children()[0], { state: "running", restarts: 1, lastError: "bug" })
          assert.include(world.replicas.calls, "releaseDuty a")
          assert.isAbove(world.runs.length, 5)
        })
      ).pipe(Effect.provide(world.layer("a")))
    })
  )

  it.effect("that takes longer than the lease keeps the duty, which is renewed beside it", () =>
    one((world) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* world.start("a", Effect.sleep("1 minute"))
          yield* advance("30 seconds")
          assert.strictEqual(world.runs.length, 1)
          assert.isAbove(world.replicas.duties.get("sweep")?.until ?? 0, 30_000)
        })
      ).pipe(Effect.provide(world.layer("a")))
    )
  )

  it.effect("is interrupted when the duty's time is over without an answer (D1)", () =>
    one((world) => {
      let interruptedAt = 0
      return Effect.scoped(
        Effect.gen(function* () {
          yield* world.start(
            "a",
            Effect.onInterrupt(Effect.never, () =>
              Effect.map(Clock.currentTimeMillis, (at) => {
                interruptedAt = at
              })
            )
          )
          world.replicas.cut.add("a")
          yield* advance("10 seconds")
          assert.isAbove(interruptedAt, 0)
          assert.isAtMost(interruptedAt, TTL)
          world.replicas.cut.clear()
        })
      ).pipe(Effect.provide(world.layer("a")))
    })
  )

  it.effect("does not run while this replica's own lease is not held", () =>
    one((world) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* world.start("a")
          yield* advance(2_900)
          world.replicas.replicas.set("a", { until: 0, reaped: true })
          yield* advance(150)
          const before = world.runs.length
          yield* advance("30 seconds")
          assert.strictEqual(world.runs.length, before)
          assert.notInclude(world.replicas.calls, "releaseDuty a")
        })
      ).pipe(Effect.provide(world.layer("a")))
    )
  )

  it.effect("does not run while the database is away, and runs again within 15 s of its return", () =>
    one((world) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* world.start("a")
          world.database.condition = "refuses"
          yield* advance(TTL)
          const before = world.runs.length
          yield* advance("1 minute")
          assert.strictEqual(world.runs.length, before)
          world.database.condition = "answers"
          yield* advance("10 seconds")
          assert.isAbove(world.runs.length, before)
        })
      ).pipe(Effect.provide(world.layer("a")))
    )
  )
})
