import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { shareVerdictHold, VerdictHold } from "../../src/supervision/VerdictHold.ts"
import { advance } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { FakeReplicas } from "./FakeReplicas.ts"
import { replicaLayer, startReplica } from "./replica.ts"

it.effect("a replica that holds verdicts back says so within 100 ms, again and again, and nothing otherwise", () => {
  const database = new FakeDatabase()
  const replicas = new FakeReplicas(database)
  const hold = { held: false }
  const said = () => replicas.calls.filter((call) => call === "holdVerdicts a").length
  return Effect.scoped(
    Effect.gen(function* () {
      yield* startReplica
      yield* startSupervisor({ name: "s", strategy: "one_for_one", children: [yield* shareVerdictHold] })
      yield* advance("5 seconds")
      assert.strictEqual(said(), 0)
      hold.held = true
      yield* advance(100)
      assert.strictEqual(said(), 1)
      yield* advance("2 seconds")
      assert.strictEqual(said(), 6)
      hold.held = false
      yield* advance("5 seconds")
      assert.strictEqual(said(), 6)
    })
  ).pipe(Effect.provide([Layer.succeed(VerdictHold, { held: () => hold.held }), replicaLayer("a", database, replicas)]))
})
