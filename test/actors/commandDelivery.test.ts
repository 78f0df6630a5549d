import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { CommandStore, OPEN_ANSWER_BYTES, OPEN_BYTES } from "../../src/storage/CommandStore.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Harness, layer as harnessLayer } from "./ActorHarness.ts"
import { FakeSession } from "./FakeSession.ts"
import { actions, born, controls, read, send } from "./commanding.ts"

/** JSON text of so many bytes. */
const payloadOf = (bytes: number): string => JSON.stringify("x".repeat(bytes - 2))

layer(harnessLayer({}), { excludeTestServices: true })("what a session is told at a time", (it) => {
  it.effect("is nothing at all where its client speaks the old dialect", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const session = new FakeSession("legacy")
      const appId = randomUUID()
      yield* harness.register({ appId, session })
      const { correlationId } = yield* send(appId)
      yield* harness.hint(appId, "Commanded")
      expect(controls(session)).toEqual([])
      expect(yield* read(appId, correlationId)).toMatchObject({
        state: "answered",
        deliveries: 0,
        ack: false,
        error: "unknown_action"
      })
      expect((yield* harness.log(appId)).at(-1)).toMatchObject({
        kind: "control",
        correlationId,
        data: { outcome: "refused", error: "unknown_action" }
      })
      yield* harness.hint(appId, "Commanded")
      expect((yield* harness.kinds(appId)).filter((kind) => kind === "control")).toHaveLength(1)
    })
  )

  it.effect("and its answer is taken near the end of its time, too, as the queue has it", () =>
    Effect.gen(function* () {
      const { appId, harness, session } = yield* born()
      // Near its end, as after a clock that was set: the queue is asked.
      const { correlationId } = yield* send(appId, { ttlMs: 4000 })
      yield* harness.hint(appId, "Commanded")
      yield* harness.answer(session, appId, correlationId, true, "1")
      expect(yield* read(appId, correlationId)).toMatchObject({ state: "answered", session: session.id, result: "1" })
    })
  )

  describe("large payloads", () => {
    it.effect("are told a few at a time, in their order, as fast as the peer reads; each is told once", () =>
      Effect.gen(function* () {
        const { appId, harness, session } = yield* born()
        session.holds = 100_000
        const names = Array.from({ length: 7 }, (_, i) => `a${i}`)
        for (const action of names) yield* send(appId, { action, payload: payloadOf(100_000) })
        yield* harness.hint(appId, "Commanded")
        // As many as reach the limit of one time.
        expect(actions(session)).toEqual(names.slice(0, 3))
        // Nobody waits twice, and nothing is told to a peer that does not read.
        yield* harness.hint(appId, "Commanded")
        expect(actions(session)).toEqual(names.slice(0, 3))
        expect(session.read()).toBe(1)
        yield* Effect.promise(() => waitUntil("the next are told", () => controls(session).length === 6))
        session.read()
        yield* Effect.promise(() => waitUntil("all are told", () => controls(session).length === 7))
        expect(actions(session)).toEqual(names)
        expect(session.aside).toBe(0)
        expect((yield* harness.kinds(appId)).filter((kind) => kind === "control")).toHaveLength(7)
      })
    )

    it.effect("are told at once to a peer that reads", () =>
      Effect.gen(function* () {
        const { appId, harness, session } = yield* born()
        const names = Array.from({ length: 7 }, (_, i) => `a${i}`)
        for (const action of names) yield* send(appId, { action, payload: payloadOf(100_000) })
        yield* harness.hint(appId, "Commanded")
        expect(actions(session)).toEqual(names)
      })
    )

    it.effect("are told one by one where each is beyond the limit of one time", () =>
      Effect.gen(function* () {
        const { appId, harness, session } = yield* born()
        session.read()
        session.holds = 1
        for (const action of ["a", "b"]) yield* send(appId, { action, payload: payloadOf(OPEN_BYTES + 1) })
        yield* harness.hint(appId, "Commanded")
        expect(actions(session)).toEqual(["a"])
        session.read()
        yield* Effect.promise(() => waitUntil("the other one is told", () => controls(session).length === 2))
      })
    )

    it.effect("do not make one answer of the database out of what many sessions are to be told", () =>
      Effect.gen(function* () {
        const store = yield* CommandStore
        const nodes = yield* Effect.forEach(Array.from({ length: 20 }), born)
        const [session] = ["00000000-0000-4000-8000-000000000001"]
        for (const { appId } of nodes) yield* send(appId, { payload: payloadOf(OPEN_BYTES + 1) })
        const requests = nodes.map(({ appId }) => ({ appId, session: session! }))
        const first = yield* store.open(requests)
        const most = Math.ceil(OPEN_ANSWER_BYTES / OPEN_BYTES)
        expect(first.answered).toBe(most)
        expect([...first.commands.keys()]).toEqual(requests.slice(0, most).map(({ appId }) => appId))
        const rest = yield* store.open(requests.slice(first.answered))
        expect(rest.answered).toBe(20 - most)
        // Their actors, who ask together, are all told.
        for (const { appId, harness } of nodes) yield* harness.hint(appId, "Commanded")
        expect(nodes.map(({ session: told }) => controls(told).length)).toEqual(nodes.map(() => 1))
      })
    )
  })
})
