import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import type { Supervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { advance, quiesce } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { FakeReplicas } from "./FakeReplicas.ts"
import { replicaLayer, startReplica } from "./replica.ts"

interface World {
  readonly database: FakeDatabase
  readonly replicas: FakeReplicas
  readonly lease: ReplicaLease["Service"]
  readonly supervisor: Supervisor
}

const run = <E>(
  body: (world: World) => Effect.Effect<void, E, Telemetry>,
  kind: "postgres" | "pglite" = "postgres",
  prepare: (replicas: FakeReplicas) => void = () => {},
  lease: { readonly ttlMs?: number } = {}
) => {
  const database = new FakeDatabase(kind)
  const replicas = new FakeReplicas(database)
  prepare(replicas)
  return Effect.scoped(
    Effect.gen(function* () {
      const supervisor = yield* startReplica
      yield* quiesce
      yield* body({ database, replicas, lease: yield* ReplicaLease, supervisor })
    })
  ).pipe(Effect.provide(replicaLayer("b1", database, replicas, lease)))
}

describe("replica lease", () => {
  it.effect("is held from the start and renewed every fifth of its length", () =>
    run(({ lease, replicas }) =>
      Effect.gen(function* () {
        assert.isTrue(lease.holds())
        yield* advance("30 seconds")
        assert.strictEqual(replicas.calls.filter((call) => call === "renew b1").length, 11)
        assert.isTrue(lease.holds())
        assert.strictEqual(lease.steadyFor(), 30_000)
        assert.include(yield* (yield* Telemetry).render, "trails_lease_held 1\n")
      })
    )
  )

  it.effect("a fresh boot has an id of its own", () =>
    Effect.gen(function* () {
      const database = new FakeDatabase()
      const replicas = new FakeReplicas(database)
      assert.match(
        yield* ReplicaLease.use((lease) => Effect.succeed(lease.boot)).pipe(
          Effect.provide(replicaLayer(undefined, database, replicas))
        ),
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
      )
    })
  )

  it.effect("waits for a database that is away when it starts", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const database = new FakeDatabase()
        const replicas = new FakeReplicas(database)
        database.condition = "refuses"
        const starting = yield* Effect.forkChild(
          ReplicaLease.use((lease) => Effect.sync(lease.holds)).pipe(
            Effect.provide(replicaLayer("b1", database, replicas))
          )
        )
        yield* advance("20 seconds")
        assert.isUndefined(starting.pollUnsafe())
        database.condition = "answers"
        yield* advance("2 seconds")
        assert.isTrue(yield* Fiber.join(starting))
      })
    )
  )

  it.effect("a grant counts from before the question was sent (L1)", () =>
    run(({ lease, replicas }) =>
      Effect.gen(function* () {
        yield* advance(2_999)
        replicas.lateMs.set("b1", 500)
        // Asked at 3.0 s, answered at 3.5 s; the row expires at 18.0 s.
        yield* advance(600)
        replicas.cut.add("b1")
        yield* advance(14_400)
        assert.isTrue(lease.holds())
        yield* advance(1)
        assert.isFalse(lease.holds())
        assert.strictEqual(lease.steadyFor(), 0)
        replicas.cut.delete("b1")
        replicas.lateMs.clear()
      })
    )
  )

  it.effect("is not lost while the database is away, however long, and is held again after its return", () =>
    run(({ database, lease, supervisor }) =>
      Effect.gen(function* () {
        const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
        yield* advance("5 seconds")
        database.condition = "hangs"
        yield* advance("10 minutes")
        assert.isFalse(lease.holds())
        database.condition = "answers"
        yield* advance("10 seconds")
        assert.isTrue(lease.holds())
        assert.isAtMost(lease.steadyFor(), 10_000)
        assert.isUndefined(lost.pollUnsafe())
        assert.isTrue(supervisor.children().every((child) => child.restarts === 0))
      })
    )
  )

  it.effect(
    "renewals that still fail for a while after an outage are no loss: time without a database does not count",
    () =>
      run(({ database, lease, replicas }) =>
        Effect.gen(function* () {
          const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
          database.condition = "refuses"
          yield* advance("1 minute")
          replicas.renewalsHang = true
          database.condition = "answers"
          yield* advance("12 seconds")
          replicas.renewalsHang = false
          yield* advance("8 seconds")
          assert.isUndefined(lost.pollUnsafe())
          assert.isTrue(lease.holds())
        })
      )
  )

  it.effect("a short lease outlives an outage that the health is too slow to notice", () =>
    run(
      ({ database, lease }) =>
        Effect.gen(function* () {
          const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
          yield* advance("5 seconds")
          database.condition = "hangs"
          for (let step = 0; step < 30; step++) yield* advance("100 millis")
          database.condition = "answers"
          yield* advance("2 seconds")
          assert.isUndefined(lost.pollUnsafe())
          assert.isTrue(lease.holds())
        }),
      "postgres",
      undefined,
      { ttlMs: 2000 }
    )
  )

  it.effect("a renewal that comes a little late leaves it steady", () =>
    run(({ database, lease }) =>
      Effect.gen(function* () {
        yield* advance("5500 millis")
        database.condition = "refuses"
        yield* advance("1 second")
        database.condition = "answers"
        yield* advance("13500 millis")
        assert.strictEqual(lease.steadyFor(), 20_000)
      })
    )
  )

  it.effect("an outage of half its length leaves it held, but not steady", () =>
    run(({ database, lease }) =>
      Effect.gen(function* () {
        yield* advance("5500 millis")
        database.condition = "refuses"
        yield* advance("7 seconds")
        assert.isTrue(lease.holds())
        assert.strictEqual(lease.steadyFor(), 0)
        database.condition = "answers"
        yield* advance("7500 millis")
        assert.isBelow(lease.steadyFor(), 8_000)
      })
    )
  )

  it.effect("renew says reaped → lost: reaped, and never held again (L2)", () =>
    run(({ lease, replicas, supervisor }) =>
      Effect.gen(function* () {
        const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
        replicas.replicas.set("b1", { until: 0, reaped: true })
        yield* advance("4 seconds")
        const error = yield* Fiber.join(lost)
        assert.deepInclude(error, { _tag: "LeaseLost", reason: "reaped", boot: "b1" })
        assert.isFalse(lease.holds())
        replicas.replicas.set("b1", { until: 1e9, reaped: false })
        yield* advance("1 minute")
        assert.isFalse(lease.holds())
        assert.strictEqual(supervisor.children()[1]?.state, "done")
      })
    )
  )

  it.effect("a newer version has contracted the schema → lost: outdated, within a fifth of its length", () =>
    run(({ lease, replicas }) =>
      Effect.gen(function* () {
        const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
        replicas.isOutdated = true
        yield* advance("3 seconds")
        assert.deepInclude(yield* Fiber.join(lost), { _tag: "LeaseLost", reason: "outdated", boot: "b1" })
        assert.isFalse(lease.holds())
      })
    )
  )

  it.effect("no renewal for its whole length although the database answers → lost: expired", () =>
    run(({ lease, replicas }) =>
      Effect.gen(function* () {
        const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
        yield* advance("3 seconds")
        replicas.renewalsHang = true
        yield* advance("14 seconds")
        assert.isUndefined(lost.pollUnsafe())
        yield* advance("16 seconds")
        assert.strictEqual((yield* Fiber.join(lost)).reason, "expired")
      })
    )
  )

  it.effect("a stall of the process beyond its length is no loss if nobody reaped it", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let stalledFor = 0n
      const stalling = Object.assign(Object.create(clock) as Clock.Clock, {
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + stalledFor
      })
      yield* run(({ lease, replicas }) =>
        Effect.gen(function* () {
          const lost = yield* Effect.forkChild(Effect.flip(lease.lost))
          replicas.cut.add("b1")
          yield* advance(3_000)
          // The renewal is under way; its answer comes during the stall, and its time limit fires first afterwards.
          stalledFor = 20_000_000_000n
          replicas.cut.delete("b1")
          assert.isFalse(lease.holds())
          yield* advance(5_500)
          assert.isUndefined(lost.pollUnsafe())
          yield* advance(1_000)
          assert.isUndefined(lost.pollUnsafe())
          assert.isTrue(lease.holds())
          assert.isBelow(lease.steadyFor(), 1_000)
        })
      ).pipe(Effect.provideService(Clock.Clock, stalling))
    })
  )

  it.effect("release ends it once, and no renewal follows (L3)", () =>
    run(({ lease, replicas }) =>
      Effect.gen(function* () {
        yield* lease.release
        yield* lease.release
        assert.isFalse(lease.holds())
        yield* advance("1 minute")
        assert.deepStrictEqual(replicas.calls, ["renew b1", "release b1"])
        assert.isFalse(replicas.replicas.has("b1"))
      })
    )
  )

  it.effect("release waits for a renewal that is under way, so that the row does not come back (L3)", () =>
    run(({ lease, replicas }) =>
      Effect.gen(function* () {
        yield* advance(2_999)
        replicas.slowMs = 500
        yield* advance(200)
        // The release goes by another connection, where nothing is slow.
        replicas.slowMs = 0
        const releasing = yield* Effect.forkChild(lease.release)
        yield* advance("2 seconds")
        yield* Fiber.join(releasing)
        assert.deepStrictEqual(replicas.calls, ["renew b1", "renew b1", "release b1"])
        assert.isFalse(replicas.replicas.has("b1"))
      })
    )
  )

  it.effect("a release that the database does not answer takes 0.8 s at most", () =>
    run(({ database, lease }) =>
      Effect.gen(function* () {
        database.condition = "hangs"
        const from = yield* Clock.currentTimeMillis
        const releasing = yield* Effect.forkChild(lease.release)
        yield* advance(800)
        yield* Fiber.join(releasing)
        assert.strictEqual((yield* Clock.currentTimeMillis) - from, 800)
      })
    )
  )

  it.effect("closing its layer releases it", () =>
    Effect.gen(function* () {
      const database = new FakeDatabase()
      const replicas = new FakeReplicas(database)
      yield* Effect.provide(ReplicaLease, replicaLayer("b1", database, replicas))
      assert.deepStrictEqual(replicas.calls, ["renew b1", "release b1"])
    })
  )

  for (const [kind, expired] of [
    ["pglite", true],
    ["postgres", false]
  ] as const) {
    it.effect(`on ${kind} the boots before are ${expired ? "expired at once" : "left to the reaper"}`, () =>
      run(
        ({ replicas }) => Effect.sync(() => assert.strictEqual(replicas.replicas.has("old"), !expired)),
        kind,
        (replicas) => replicas.replicas.set("old", { until: 1e9, reaped: false })
      )
    )
  }
})
