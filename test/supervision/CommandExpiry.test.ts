import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CommandStore } from "../../src/storage/CommandStore.ts"
import { commandExpiry } from "../../src/supervision/CommandExpiry.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { advance, quiesce } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { FakeReplicas } from "./FakeReplicas.ts"
import { replicaLayer, startReplica } from "./replica.ts"

it.effect("all that is open is read once; from then on what has come due, and the ends behind the last ones", () => {
  const database = new FakeDatabase()
  const calls: Array<string> = []
  const ends = [
    { upTo: 9, more: true },
    { upTo: 12, more: false }
  ]
  const store = Layer.mock(CommandStore)({
    expire: () => Effect.sync(() => (calls.push("expire"), 0)),
    expireLeft: () => Effect.sync(() => (calls.push("left"), 0)),
    lastEnd: Effect.sync(() => (calls.push("last"), 7)),
    expireEnded: (after) =>
      Effect.sync(() => {
        calls.push(`ended ${after}`)
        return ends.shift() ?? { upTo: after, more: false }
      })
  })
  return Effect.gen(function* () {
    yield* startReplica
    yield* startSupervisor({ name: "a", strategy: "one_for_one", children: [yield* commandExpiry] })
    yield* quiesce
    // The cursor is taken before everything is read, so that no end is between them.
    assert.deepStrictEqual(calls.splice(0), ["expire", "last", "left", "ended 7", "ended 9"])
    yield* advance(1000)
    assert.deepStrictEqual(calls.splice(0), ["expire", "ended 12"])
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(replicaLayer("a", database, new FakeReplicas(database)), store)))
})
