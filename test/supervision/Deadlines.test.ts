import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { deadlines } from "../../src/supervision/Deadlines.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { VerdictHold } from "../../src/supervision/VerdictHold.ts"
import { advance, quiesce } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { FakeNodes } from "./FakeNodes.ts"
import { FakeReplicas } from "./FakeReplicas.ts"
import { replicaLayer, startReplica } from "./replica.ts"

const GRACE = 1_500
const SETTLE = 10_000

interface World {
  readonly database: FakeDatabase
  readonly nodes: FakeNodes
  readonly hold: { held: boolean }
}

/** `settled`: the body begins when the time after the start, in which old deadlines are left alone, is over. */
const run = (
  body: (world: World) => Effect.Effect<void>,
  { prepare = () => {}, settled = true }: { settled?: boolean; prepare?: (nodes: FakeNodes) => void } = {}
) => {
  const database = new FakeDatabase()
  const replicas = new FakeReplicas(database)
  const nodes = new FakeNodes()
  const hold = { held: false }
  prepare(nodes)
  return Effect.scoped(
    Effect.gen(function* () {
      yield* startReplica
      yield* startSupervisor({
        name: "s",
        strategy: "one_for_one",
        children: [yield* deadlines({ disconnectGraceMs: GRACE, settleMs: SETTLE })]
      })
      yield* settled ? advance(SETTLE) : quiesce
      yield* body({ database, nodes, hold })
    })
  ).pipe(
    Effect.provide([
      nodes.layer,
      Layer.succeed(VerdictHold, { held: () => hold.held }),
      replicaLayer("a", database, replicas)
    ])
  )
}

describe("the deadline sweep", () => {
  it.effect("tells each due node once, within 1 s of its deadline, and no other", () =>
    run(({ nodes }) =>
      Effect.gen(function* () {
        nodes.add("due", "reconnecting", SETTLE + 500)
        nodes.add("unborn", "scheduled", SETTLE + 600)
        nodes.add("later", "reconnecting", SETTLE + 60_000)
        nodes.add("free", "running", null)
        yield* advance(499)
        assert.deepStrictEqual(nodes.told, [])
        yield* advance(401)
        assert.deepStrictEqual(nodes.told, ["due", "unborn"])
        assert.deepStrictEqual(nodes.tags, ["Deadline", "Deadline"])
        yield* advance("10 seconds")
        assert.strictEqual(nodes.told.length, 2)
      })
    )
  )

  it.effect("goes on at once while batches are full and bring new nodes", () =>
    run(({ nodes }) =>
      Effect.gen(function* () {
        for (let i = 0; i < 2_100; i++) nodes.add(`n${i}`, "scheduled", SETTLE)
        yield* advance(400)
        assert.strictEqual(nodes.told.length, 2_100)
        assert.strictEqual(new Set(nodes.told).size, 2_100)
      })
    )
  )

  it.effect("does not spin on full batches that nobody moves, nor tell the same node again at once", () =>
    run(({ nodes }) =>
      Effect.gen(function* () {
        nodes.onTold = () => true
        for (let i = 0; i < 600; i++) nodes.add(`n${i}`, "scheduled", SETTLE)
        nodes.queries = 0
        yield* advance(1_000)
        assert.strictEqual(nodes.told.length, 500)
        assert.isBelow(nodes.queries, 30)
      })
    )
  )

  it.effect("tells a node again that is still due two seconds later", () =>
    run(({ nodes }) =>
      Effect.gen(function* () {
        nodes.onTold = () => true
        nodes.add("a", "scheduled", SETTLE)
        yield* advance(2_000)
        assert.strictEqual(nodes.told.length, 1)
        yield* advance(500)
        assert.strictEqual(nodes.told.length, 2)
      })
    )
  )

  it.effect("comes back to a node whose mailbox was full", () =>
    run(({ nodes }) =>
      Effect.gen(function* () {
        const { onTold } = nodes
        nodes.onTold = () => false
        nodes.add("a", "scheduled", SETTLE)
        yield* advance(1_000)
        nodes.onTold = onTold
        yield* advance(200)
        assert.deepStrictEqual(nodes.told, ["a"])
      })
    )
  )
})

describe("verdicts are held back (PROTOCOL §7)", () => {
  it.effect("while handshakes wait: reconnecting nodes are left alone, scheduled ones are not", () =>
    run(({ hold, nodes }) =>
      Effect.gen(function* () {
        hold.held = true
        nodes.add("silent", "reconnecting", SETTLE)
        nodes.add("unborn", "scheduled", SETTLE)
        yield* advance("5 seconds")
        assert.deepStrictEqual(nodes.told, ["unborn"])
        hold.held = false
        yield* advance(200)
        assert.deepStrictEqual(nodes.told, ["unborn", "silent"])
      })
    )
  )

  it.effect("held nodes do not keep scheduled ones out of the batch", () =>
    run(({ hold, nodes }) =>
      Effect.gen(function* () {
        hold.held = true
        for (let i = 0; i < 1_000; i++) nodes.add(`silent${i}`, "reconnecting", 0)
        nodes.add("unborn", "scheduled", SETTLE)
        yield* advance(200)
        assert.deepStrictEqual(nodes.told, ["unborn"])
      })
    )
  )

  it.effect("for the time to settle after a database outage, of deadlines from before it", () =>
    run(({ database, nodes }) =>
      Effect.gen(function* () {
        database.condition = "refuses"
        yield* advance("30 seconds")
        nodes.add("silent", "reconnecting", SETTLE + 20_000)
        database.condition = "answers"
        yield* advance("9 seconds")
        assert.deepStrictEqual(nodes.told, [])
        yield* advance("3 seconds")
        assert.deepStrictEqual(nodes.told, ["silent"])
      })
    )
  )

  it.effect("for the time to settle after the start, of deadlines from before it", () =>
    run(
      ({ nodes }) =>
        Effect.gen(function* () {
          yield* advance(SETTLE - 1)
          assert.deepStrictEqual(nodes.told, [])
          yield* advance(201)
          assert.deepStrictEqual(nodes.told, ["silent"])
        }),
      { settled: false, prepare: (nodes) => nodes.add("silent", "reconnecting", 0) }
    )
  )

  it.effect("also of a deadline from before the start that passes just after it", () =>
    run(
      ({ nodes }) =>
        Effect.gen(function* () {
          yield* advance(SETTLE - 1)
          assert.deepStrictEqual(nodes.told, [])
        }),
      { settled: false, prepare: (nodes) => nodes.add("silent", "reconnecting", GRACE - 1) }
    )
  )

  it.effect("but a node that went silent after the start gets its verdict in time (P8), also behind old ones", () =>
    run(
      ({ nodes }) =>
        Effect.gen(function* () {
          yield* advance(100)
          nodes.add("fresh", "reconnecting", 100 + GRACE)
          yield* advance(GRACE + 400)
          assert.deepStrictEqual(nodes.told, ["fresh"])
        }),
      {
        settled: false,
        prepare: (nodes) => {
          for (let i = 0; i < 1_000; i++) nodes.add(`old${i}`, "reconnecting", 0)
        }
      }
    )
  )
})
