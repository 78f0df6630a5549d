import { Effect, Layer } from "effect"
import { DatabaseHealth } from "../../src/supervision/DatabaseHealth.ts"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import type { FakeDatabase } from "./FakeDatabase.ts"
import type { FakeReplicas } from "./FakeReplicas.ts"

/** One replica's health, lease and telemetry over shared fakes. `Layer.fresh`: each replica has its own. */
export const replicaLayer = (
  boot: string | undefined,
  database: FakeDatabase,
  replicas: FakeReplicas,
  lease: { readonly ttlMs?: number } = {}
) =>
  Layer.fresh(
    ReplicaLease.layer({ ...(boot === undefined ? {} : { boot }), instance: "test", version: "0", ...lease }).pipe(
      Layer.provideMerge(DatabaseHealth.layer),
      Layer.provideMerge(Layer.mergeAll(database.layer, replicas.layer, Telemetry.layer))
    )
  )

/** Runs the pings and the renewals. */
export const startReplica = Effect.gen(function* () {
  const health = yield* DatabaseHealth
  const lease = yield* ReplicaLease
  return yield* startSupervisor({
    name: "runtime",
    strategy: "one_for_one",
    children: [health.child, lease.child]
  })
})
