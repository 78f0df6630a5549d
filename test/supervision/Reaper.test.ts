import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { reaper } from "../../src/supervision/Reaper.ts"
import type { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { advance, quiesce } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { FakeNodes } from "./FakeNodes.ts"
import { FakeReplicas } from "./FakeReplicas.ts"
import { replicaLayer, startReplica } from "./replica.ts"

const TTL = 15_000

interface World {
  readonly database: FakeDatabase
  readonly replicas: FakeReplicas
  readonly nodes: FakeNodes
}

const run = (
  body: (world: World) => Effect.Effect<void, unknown, ReplicaLease>,
  kind: "postgres" | "pglite" = "postgres"
) => {
  const database = new FakeDatabase(kind)
  const replicas = new FakeReplicas(database)
  const nodes = new FakeNodes()
  replicas.replicas.set("dead", { until: 0, reaped: false })
  nodes.dead.add("dead")
  nodes.add("orphan", "running", null, "dead")
  nodes.add("fine", "running", null, "me")
  return Effect.scoped(
    Effect.gen(function* () {
      yield* startReplica
      yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [yield* reaper] })
      yield* quiesce
      yield* body({ database, replicas, nodes })
    })
  ).pipe(Effect.provide([nodes.layer, replicaLayer("me", database, replicas)]))
}

describe("the reaper", () => {
  it.effect("marks the dead replica and tells its nodes, those of others not", () =>
    run(({ nodes, replicas }) =>
      Effect.gen(function* () {
        yield* advance(TTL + 1_000)
        assert.isTrue(replicas.replicas.get("dead")?.reaped)
        assert.isFalse(replicas.replicas.get("me")?.reaped)
        assert.deepStrictEqual(nodes.told, ["orphan"])
        assert.deepStrictEqual(nodes.tags, ["Orphaned"])
      })
    )
  )

  it.effect("does nothing before it has held its own lease for a whole lease length", () =>
    run(({ nodes, replicas }) =>
      Effect.gen(function* () {
        yield* advance(TTL - 1)
        assert.deepStrictEqual(nodes.told, [])
        assert.notInclude(replicas.calls, "reapExpired me")
      })
    )
  )

  it.effect(
    "after an outage of the database that let every lease expire, who lives renews before anything is reaped",
    () =>
      run(({ database, nodes, replicas }) =>
        Effect.gen(function* () {
          yield* advance(TTL + 1_000)
          nodes.told.length = 0
          replicas.replicas.set("other", { until: 32_000, reaped: false })
          database.condition = "refuses"
          yield* advance("60 seconds")
          database.condition = "answers"
          yield* advance(TTL - 1_000)
          assert.isFalse(replicas.replicas.get("other")?.reaped)
          replicas.replicas.set("other", { until: 1e9, reaped: false })
          yield* advance("30 seconds")
          assert.isFalse(replicas.replicas.get("other")?.reaped)
          assert.deepStrictEqual(nodes.told, [])
        })
      )
  )

  it.effect("a short outage, in which only the other's lease ran out, is waited for as well", () =>
    run(({ database, replicas }) =>
      Effect.gen(function* () {
        yield* advance(TTL + 1_000)
        replicas.replicas.set("other", { until: 17_000, reaped: false })
        database.condition = "refuses"
        yield* advance("8 seconds")
        database.condition = "answers"
        yield* advance(TTL - 1_000)
        assert.isFalse(replicas.replicas.get("other")?.reaped)
      })
    )
  )

  it.effect("when writes hang although pings are answered, who lives renews before anything is reaped", () =>
    run(({ replicas }) =>
      Effect.gen(function* () {
        yield* advance(21_500)
        replicas.replicas.set("other", { until: 33_500, reaped: false })
        replicas.renewalsHang = true
        yield* advance(14_000)
        assert.isFalse(replicas.replicas.get("other")?.reaped)
        replicas.renewalsHang = false
        yield* advance(TTL - 1_000)
        assert.isFalse(replicas.replicas.get("other")?.reaped)
        yield* advance(3_000)
        assert.isTrue(replicas.replicas.get("other")?.reaped)
      })
    )
  )

  it.effect(
    "what a silent network delivers late marks nobody: others live 0.8 of a lease longer than its own renewals",
    () =>
      run(({ replicas }) =>
        Effect.gen(function* () {
          yield* advance(3 * TTL)
          assert.isAtLeast(replicas.reapAllowances.length, 25)
          assert.isAtMost(Math.max(...replicas.reapAllowances), 0.2 * TTL)
          assert.isAtLeast(Math.min(...replicas.reapAllowances), 0)
        })
      )
  )

  it.effect("marks before it tells, so that a replica that wakes up learns it at its next renewal", () =>
    run(({ nodes, replicas }) =>
      Effect.gen(function* () {
        let reapedWhenTold: boolean | undefined
        nodes.onTold = () => {
          reapedWhenTold ??= replicas.replicas.get("dead")?.reaped
          return true
        }
        yield* advance(TTL + 1_000)
        assert.isTrue(reapedWhenTold)
      })
    )
  )

  it.effect("on PGlite the nodes of the boot before are told at once", () =>
    run(
      ({ nodes }) =>
        Effect.gen(function* () {
          yield* advance(10)
          assert.deepStrictEqual(nodes.told, ["orphan"])
        }),
      "pglite"
    )
  )
})
