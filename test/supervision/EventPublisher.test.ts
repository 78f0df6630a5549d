import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, type Scope } from "effect"
import * as CommitHints from "../../src/storage/CommitHints.ts"
import * as MemoryNodeStore from "../../src/storage/MemoryNodeStore.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import * as MemoryReplicaStore from "../../src/storage/MemoryReplicaStore.ts"
import * as MemoryTreeLog from "../../src/storage/MemoryTreeLog.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { DatabaseHealth } from "../../src/supervision/DatabaseHealth.ts"
import { EventOutlet } from "../../src/supervision/EventOutlet.ts"
import { eventPublisher, PUBLISHER } from "../../src/supervision/EventPublisher.ts"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { parseMetrics } from "../harness/Metrics.ts"
import { birthOf, bornRow, requestOf, statusEntry, statusWrite } from "../storage/rows.ts"
import { advance, quiesce } from "./advance.ts"
import { FakeDatabase } from "./FakeDatabase.ts"
import { away, FakeStream } from "./FakeStream.ts"
import { startReplica } from "./replica.ts"

/** Two nodes' logs, and publishers of it. */
const world = Effect.gen(function* () {
  const tables = yield* MemoryTables
  const store = yield* NodeStore
  const stream = new FakeStream()
  const nodes = yield* Effect.forEach([0, 1], () => Effect.map(store.birth(requestOf(birthOf())), bornRow))
  const at = nodes.map(({ n }) => n)

  /** Appends `count` Status rows, to the nodes by turns. */
  const report = Effect.fnUntraced(function* (count: number) {
    for (let i = 0; i < count; i++) {
      const node = nodes[i % 2]!
      const n = at[i % 2]!++
      yield* store.append(0, [statusWrite({ ...node, n }, n, { rows: [statusEntry(node.appId, n)] })])
    }
  })

  const lines: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])

  const start = Effect.fnUntraced(function* (boot: string, own: EventOutlet["Service"] = stream.outlet()) {
    const outlet = Layer.succeed(EventOutlet, own)
    const context = yield* Layer.build(
      Layer.fresh(
        ReplicaLease.layer({ boot, instance: boot, version: "0" }).pipe(
          Layer.provideMerge(DatabaseHealth.layer),
          Layer.provideMerge(Layer.mergeAll(new FakeDatabase().layer, outlet, Telemetry.layer, logger))
        )
      )
    )
    return yield* Effect.gen(function* () {
      yield* startReplica
      const child = yield* eventPublisher
      const supervisor = yield* startSupervisor({ name: boot, strategy: "one_for_one", children: [child] })
      yield* quiesce
      const telemetry = yield* Telemetry
      return { supervisor, metrics: Effect.map(telemetry.render, parseMetrics) }
    }).pipe(Effect.provideContext(context))
  })

  const expected = () => tables.log.map(({ appId, n }) => `${appId}:${n}`)
  const cursor = () => tables.leases.get(PUBLISHER)?.cursor ?? 0
  return { cursor, expected, lines, report, start, stream, tables }
})

type World = Effect.Success<typeof world>

const storage = Layer.mergeAll(MemoryTreeLog.layer, MemoryReplicaStore.layer, CommitHints.layer).pipe(
  Layer.provideMerge(MemoryNodeStore.layer),
  Layer.provideMerge(MemoryTables.layer)
)

const check = (
  title: string,
  body: (world: World) => Effect.Effect<void, unknown, Layer.Success<typeof storage> | Scope.Scope>
) => it.effect(title, () => Effect.flatMap(world, body).pipe(Effect.scoped, Effect.provide(storage)))

describe("the publisher", () => {
  check("publishes what is there and what comes, in commit order, and its cursor follows (E1)", (w) =>
    Effect.gen(function* () {
      yield* w.report(600)
      yield* w.start("a")
      yield* advance("2 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
      assert.strictEqual(w.cursor(), w.tables.log.length)
      yield* w.report(5)
      yield* advance("10 millis")
      assert.deepStrictEqual(w.stream.stored, w.expected())
    })
  )

  check("has not moved its cursor behind an event that was not acknowledged (E1)", (w) =>
    Effect.gen(function* () {
      yield* w.report(10)
      const lost = w.expected()[4]!
      w.stream.meddle = (id) => (id === lost ? { _tag: "unknown", why: "no answer" } : null)
      const a = yield* w.start("a")
      yield* advance("5 seconds")
      assert.strictEqual(w.cursor(), 4)
      assert.deepStrictEqual(w.stream.stored, w.expected().slice(0, 4))
      yield* a.supervisor.stop
      assert.strictEqual(w.cursor(), 4)
      w.stream.meddle = () => null
      yield* w.start("b")
      yield* advance("5 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
    })
  )

  check("an answer that got lost: the event is there once", (w) =>
    Effect.gen(function* () {
      yield* w.report(10)
      const silent = new Set([w.expected()[3]!, w.expected()[7]!])
      w.stream.meddle = (id) => (silent.delete(id) ? "stored silently" : null)
      yield* w.start("a")
      yield* advance("10 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
    })
  )

  check("somebody else's messages in between change neither order nor number (E2, E3)", (w) =>
    Effect.gen(function* () {
      yield* w.report(500)
      let count = 0
      w.stream.meddle = () => {
        if (++count % 37 === 0) w.stream.intrude()
        return null
      }
      const { metrics } = yield* w.start("a")
      yield* advance("1 minute")
      assert.deepStrictEqual(w.stream.stored, w.expected())
      assert.isAbove((yield* metrics).get('trails_event_troubles_total{kind="misplaced"}') ?? 0, 5)
    })
  )

  check("passes over what can't be published, counts it, and goes on in order (E4)", (w) =>
    Effect.gen(function* () {
      yield* w.report(300)
      const poison = [w.expected()[0]!, w.expected()[100]!, w.expected().at(-1)!]
      for (const id of poison) w.stream.poison.add(id)
      // Too large for the stream even without its frame, and with it only.
      const huge = w.expected()[150]!
      const large = w.expected()[151]!
      w.stream.meddle = (id, { bare }) =>
        id === huge || (id === large && !bare) ? { _tag: "unfit", why: "too large" } : null
      const { metrics } = yield* w.start("a")
      yield* advance("5 seconds")
      const unfit = new Set([...poison, huge])
      assert.deepStrictEqual(
        w.stream.stored,
        w.expected().filter((id) => !unfit.has(id))
      )
      assert.strictEqual(w.cursor(), w.tables.log.length)
      const page = yield* metrics
      assert.strictEqual(page.get('trails_event_troubles_total{kind="unfit"}'), 4)
      assert.strictEqual(page.get("trails_events_published_total"), 298)
    })
  )

  for (const reason of ["away", "no_jetstream", "refused"] as const) {
    check(`waits while it is ${reason}, passes over nothing, and goes on by itself (E4)`, (w) =>
      Effect.gen(function* () {
        yield* w.report(10)
        w.stream.away = away(reason)
        const { metrics } = yield* w.start("a")
        yield* advance("10 minutes")
        assert.deepStrictEqual(w.stream.stored, [])
        assert.strictEqual(w.cursor(), 0)
        const page = yield* metrics
        assert.isAbove(page.get(`trails_event_troubles_total{kind="${reason}"}`) ?? 0, 1)
        assert.strictEqual(page.get("trails_events_stream_open"), 0)
        w.stream.away = null
        yield* advance("6 seconds")
        assert.deepStrictEqual(w.stream.stored, w.expected())
      })
    )
  }

  check("a stream that was deleted gets the log from its beginning, over the death of the publisher too (E5)", (w) =>
    Effect.gen(function* () {
      yield* w.report(500)
      const a = yield* w.start("a")
      yield* advance("2 seconds")
      w.stream.delete()
      yield* w.report(10)
      // The first window of the new stream arrives, then the publisher is gone.
      let left = 300
      w.stream.meddle = () => (left-- > 0 ? null : { _tag: "unknown", why: "no answer" })
      yield* advance("3 seconds")
      assert.isAbove(w.stream.stored.length, 0)
      assert.isBelow(w.stream.stored.length, 500)
      yield* a.supervisor.stop
      w.stream.meddle = () => null
      yield* w.start("b")
      yield* advance("10 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
    })
  )

  for (const [how, fate] of [
    ["refused", null],
    ["without an answer", { _tag: "unknown", why: "closed" }]
  ] as const) {
    check(`who holds the duty no more finds no new place for what it had under way, and what is ${how} (E3)`, (w) =>
      Effect.gen(function* () {
        yield* w.report(400)
        yield* w.start("a")
        yield* advance("5 seconds")
        yield* w.report(10)
        const [first = ""] = w.expected().slice(-10)
        // It is paused with its messages on the way; meanwhile another one has published them, and the ids are forgotten.
        w.stream.meddle = (id) => {
          if (id !== first) return null
          w.stream.meddle = () => null
          w.stream.publish(
            w.tables.log.slice(-10).map((row) => ({
              id: `${row.appId}:${row.n}`,
              cursor: row.id,
              subject: "s",
              body: new Uint8Array(),
              bare: false
            })),
            { _tag: "Sequence", last: w.stream.messages.length }
          )
          w.stream.ids.clear()
          const lease = w.tables.leases.get(PUBLISHER)!
          w.tables.leases.set(PUBLISHER, { ...lease, holder: "b", expiresAt: Number.POSITIVE_INFINITY })
          return fate
        }
        yield* advance("1 minute")
        assert.deepStrictEqual(w.stream.stored, w.expected())
      })
    )
  }

  check("goes on after its lease row ran out early, by a jump of the database's clock, and nobody else took it", (w) =>
    Effect.gen(function* () {
      yield* w.start("a")
      yield* w.report(10)
      yield* advance("1 second")
      const lease = w.tables.leases.get(PUBLISHER)!
      w.tables.leases.set(PUBLISHER, { ...lease, expiresAt: 0 })
      yield* w.report(10)
      yield* advance("300 millis")
      yield* advance("10 seconds")
      yield* w.report(10)
      yield* advance("10 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
      assert.strictEqual(w.cursor(), w.tables.log.length)
    })
  )

  check("a stream that opens and refuses every event: it is tried calmly, said once, and seen in the lag", (w) =>
    Effect.gen(function* () {
      w.stream.meddle = () => ({ _tag: "unknown", why: "no space left on device" })
      const { metrics } = yield* w.start("a")
      yield* w.report(10)
      yield* advance("50 seconds")
      assert.isAtMost(w.stream.asked.length, 30)
      assert.deepStrictEqual(
        w.lines.filter((line) => line.includes("tree events are")).map((line) => line.slice(0, 37)),
        ["tree events are not published at the "]
      )
      yield* w.report(10)
      yield* advance("10 seconds")
      assert.strictEqual((yield* metrics).get("trails_events_lag"), w.tables.log.length)
      w.stream.meddle = () => null
      yield* advance("6 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
      assert.strictEqual((yield* metrics).get("trails_events_lag"), 0)
      assert.include(w.lines, "tree events are published again")
    })
  )

  check("the lag grows while there is no stream", (w) =>
    Effect.gen(function* () {
      w.stream.away = away("no_jetstream")
      const { metrics } = yield* w.start("a")
      yield* advance("20 seconds")
      yield* w.report(10)
      yield* advance("10 seconds")
      assert.strictEqual((yield* metrics).get("trails_events_lag"), w.tables.log.length)
    })
  )

  check("who is connected to a nats-server that takes nothing leaves the duty to one who can (E6)", (w) =>
    Effect.gen(function* () {
      const cutOff = { reachable: () => true, open: Effect.fail(away()) }
      yield* w.start("a", cutOff)
      yield* w.report(10)
      yield* advance("1 second")
      assert.strictEqual(w.tables.leases.get(PUBLISHER)?.holder, "a")
      yield* w.start("b")
      yield* advance("10 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
      yield* advance("1 minute")
      assert.strictEqual(w.tables.leases.get(PUBLISHER)?.holder, "b")
    })
  )

  check("a stream that was deleted while nothing happens is made and filled again all the same (E5)", (w) =>
    Effect.gen(function* () {
      yield* w.report(10)
      yield* w.start("a")
      yield* advance("10 seconds")
      w.stream.delete()
      yield* advance("12 seconds")
      assert.deepStrictEqual(w.stream.stored, w.expected())
    })
  )

  check("who holds the duty no more does not look for a new place while nothing happens either (E3)", (w) =>
    Effect.gen(function* () {
      yield* w.report(10)
      yield* w.start("a")
      yield* advance("2 seconds")
      w.stream.delete()
      const lease = w.tables.leases.get(PUBLISHER)!
      w.tables.leases.set(PUBLISHER, { ...lease, holder: "b", expiresAt: Number.POSITIVE_INFINITY })
      yield* advance("1 minute")
      assert.isFalse(w.stream.exists)
    })
  )
})
