import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { defaultActorOptions } from "../../src/actors/LocalActorSystem.ts"
import { CommandStore } from "../../src/storage/CommandStore.ts"
import type { NodeStore, NodeWrite } from "../../src/storage/NodeStore.ts"
import { StoreError } from "../../src/storage/StoreError.ts"
import { Harness, layer as harnessLayer } from "./ActorHarness.ts"

type Store = NodeStore["Service"]

/** What happens to the next append, or read, of the store under the actors; each is used up by one call. */
const faults: {
  append: Array<(store: Store, lane: number, writes: ReadonlyArray<NodeWrite>) => ReturnType<Store["append"]>>
  read: Array<(appId: string) => ReturnType<Store["read"]>>
} = { append: [], read: [] }

const faulty = (store: Store): Store => ({
  ...store,
  append: (lane, writes) =>
    Effect.suspend(() => (faults.append.shift() ?? ((s) => s.append(lane, writes)))(store, lane, writes)),
  read: (appId) => Effect.suspend(() => (faults.read.shift() ?? store.read)(appId))
})

const lost = new StoreError({ reason: "Unavailable", operation: "append", message: "the answer was lost" })

const node = Effect.fnUntraced(function* () {
  const harness = yield* Harness
  const appId = randomUUID()
  const { session } = yield* harness.register({ appId })
  return { harness, appId, session }
})

layer(harnessLayer({}, { ...defaultActorOptions, intensity: 2 }, faulty), { excludeTestServices: true })(
  "an actor when things break",
  (it) => {
    describe("commits", () => {
      it.effect("the ack comes after the commit (DESIGN §3)", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          const asked = yield* Deferred.make<void>()
          const mayCommit = yield* Deferred.make<void>()
          faults.append.push((store, lane, writes) =>
            Deferred.succeed(asked, undefined).pipe(
              Effect.andThen(Deferred.await(mayCommit)),
              Effect.andThen(store.append(lane, writes))
            )
          )
          const saying = yield* Effect.forkChild(harness.say(session, appId, 1))
          yield* Deferred.await(asked)
          // Whatever does not wait for the commit has run after so many turns.
          for (let turn = 0; turn < 100; turn++) yield* Effect.yieldNow
          expect(session.acks()).toEqual([])
          yield* Deferred.succeed(mayCommit, undefined)
          yield* Fiber.join(saying)
          expect(session.acks()).toEqual([1])
        })
      )

      it.effect("a command is told after the commit that says so, and its answer ends the node with its commit", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          const correlationId = randomUUID()
          yield* (yield* CommandStore).send({
            appId,
            correlationId,
            action: "cancel",
            payload: "null",
            issuedBy: "admin",
            idempotencyKey: null,
            traceparent: null,
            ttlMs: 60_000
          })
          const asked = yield* Deferred.make<void>()
          const mayCommit = yield* Deferred.make<void>()
          faults.append.push((store, lane, writes) =>
            Deferred.succeed(asked, undefined).pipe(
              Effect.andThen(Deferred.await(mayCommit)),
              Effect.andThen(store.append(lane, writes))
            )
          )
          const telling = yield* Effect.forkChild(harness.hint(appId, "Commanded"))
          yield* Deferred.await(asked)
          expect(session.find("control")).toBeUndefined()
          yield* Deferred.succeed(mayCommit, undefined)
          yield* Fiber.join(telling)
          expect(session.find("control")).toMatchObject({ correlation_id: correlationId })
          // The answer's commit succeeds and its own answer is lost, three times over.
          for (let i = 0; i < 3; i++) {
            faults.append.push((store, lane, writes) => Effect.andThen(store.append(lane, writes), Effect.fail(lost)))
          }
          yield* harness.answer(session, appId, correlationId, true)
          expect(yield* harness.kinds(appId)).toEqual(["connected", "control", "cancelled"])
          expect(yield* harness.row(appId)).toMatchObject({ status: "cancelled" })
        })
      )

      it.effect("P2: a commit whose answer was lost is repeated, stored once, acked once", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          for (let i = 0; i < 3; i++) {
            faults.append.push((store, lane, writes) => Effect.andThen(store.append(lane, writes), Effect.fail(lost)))
          }
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([1])
          expect(yield* harness.kinds(appId)).toEqual(["connected", "status"])
        })
      )

      it.effect("a registration whose answer was lost is not mistaken for somebody else's", () =>
        Effect.gen(function* () {
          const { appId, harness } = yield* node()
          faults.append.push((store, lane, writes) => Effect.andThen(store.append(lane, writes), Effect.fail(lost)))
          const { admission, session } = yield* harness.reRegister({ appId })
          expect(admission).toMatchObject({ _tag: "Accepted", epoch: 2 })
          expect(session.ended).toBeUndefined()
          expect(yield* harness.kinds(appId)).toEqual(["connected", "recovered"])
        })
      )

      it.effect("lost and then moved by somebody else by right: decided anew, found as a repetition, stored once", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          faults.append.push((store, lane, writes) =>
            Effect.gen(function* () {
              yield* store.append(lane, writes)
              const write = writes[0]!
              yield* store.append(lane, [
                {
                  ...write,
                  expected: { epoch: write.expected.epoch, n: write.expected.n + 1 },
                  writeId: randomUUID(),
                  rows: [{ ...write.rows[0]!, kind: "impostor", seq: null, frame: null, payload: null }]
                }
              ])
              return yield* lost
            })
          )
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([1])
          expect(yield* harness.kinds(appId)).toEqual(["connected", "status", "impostor"])
        })
      )

      it.effect("moved by right before the write: decided anew and stored", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          faults.append.push((store, lane, writes) =>
            Effect.gen(function* () {
              const write = writes[0]!
              const rows = [{ ...write.rows[0]!, kind: "impostor" as const, seq: null, frame: null, payload: null }]
              yield* store.append(lane, [
                { ...write, writeId: randomUUID(), hot: { ...write.hot, lastSeq: 0, status: "connected" }, rows }
              ])
              return yield* store.append(lane, writes)
            })
          )
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([1])
          expect(yield* harness.kinds(appId)).toEqual(["connected", "impostor", "status"])
        })
      )

      it.effect("P4: a deposed owner stores nothing, acks nothing and closes its session", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          faults.append.push((store, lane, writes) =>
            Effect.gen(function* () {
              const write = writes[0]!
              const hot = {
                ...write.hot,
                epoch: 2,
                owner: randomUUID(),
                session: randomUUID(),
                status: "connected" as const,
                lastSeq: 0
              }
              const rows = [{ ...write.rows[0]!, kind: "recovered" as const, seq: null, frame: null, payload: null }]
              yield* store.append(lane, [{ ...write, writeId: randomUUID(), hot, rows }])
              return yield* store.append(lane, writes)
            })
          )
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([])
          expect(session.ended).toMatchObject({ code: "replaced", retryable: false })
          expect(yield* harness.kinds(appId)).toEqual(["connected", "recovered"])
        })
      )

      it.effect(
        "a refusal that is not about the frame (a missing table, a revoked right) is waited for, nothing is refused",
        () =>
          Effect.gen(function* () {
            const { appId, harness, session } = yield* node()
            for (const code of ["42P01", "42501", "42703"]) {
              faults.append.push(() =>
                Effect.fail(new StoreError({ reason: "Refused", operation: "append", code, message: "as things are" }))
              )
            }
            yield* harness.say(session, appId, 1)
            expect(session.errors()).toEqual([])
            expect(session.acks()).toEqual([1])
          })
      )

      it.effect("a stop session acks only what is stored", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          yield* harness.moveTo(appId, { owner: null, session: null, status: "cancelled" })
          yield* harness.hint(appId, "Moved")
          expect(session.restricted).toBe(true)
          faults.append.push((_store, _lane, writes) =>
            Effect.succeed(writes.map(() => ({ _tag: "Poisoned" as const, message: "no such thing" })))
          )
          yield* harness.say(session, appId, 1, "Result")
          expect(session.acks()).toEqual([])
          expect(session.errors()).toEqual(["1!bad_frame"])
        })
      )

      it.effect("a frame that the database refuses is refused by itself; what came with it is stored", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          faults.append.push((_store, _lane, writes) =>
            Effect.succeed(writes.map(() => ({ _tag: "Poisoned" as const, message: "no such thing" })))
          )
          yield* harness.say(session, appId, 1)
          yield* harness.say(session, appId, 2)
          expect(session.errors()).toEqual(["1!bad_frame"])
          expect(session.acks()).toEqual([2])
        })
      )
    })

    describe("defects (DESIGN §2, restart intensity)", () => {
      it.effect("an actor that dies is rebuilt from its row and goes on with the message", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          faults.append.push(() => Effect.die(new Error("bug")))
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([1])
          expect(session.ended).toBeUndefined()
        })
      )

      it.effect(
        "dead between the commit of a registration and its answer: no row keeps a session that nobody has",
        () =>
          Effect.gen(function* () {
            const { appId, harness } = yield* node()
            for (let i = 0; i < 3; i++) {
              faults.append.push((store, lane, writes) =>
                Effect.andThen(store.append(lane, writes), Effect.die(new Error("bug")))
              )
            }
            const { admission } = yield* harness.register({ appId })
            expect(admission).toMatchObject({ error: { code: "unavailable", retryable: true } })
            yield* harness.hint(appId, "Moved")
            expect(yield* harness.row(appId)).toMatchObject({ status: "reconnecting", owner: null })
          })
      )

      it.effect("a worker survives what its own bookkeeping throws, and the actor goes on", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* node()
          const settle = session.settle.bind(session)
          session.settle = () => {
            session.settle = settle
            throw new Error("bug")
          }
          yield* harness.say(session, appId, 1)
          yield* harness.say(session, appId, 2)
          expect(session.acks()).toEqual([1, 2])
        })
      )

      it.effect(
        "beyond its intensity the session is closed, the row says reconnecting, and the child can come back",
        () =>
          Effect.gen(function* () {
            const { appId, harness, session } = yield* node()
            for (let i = 0; i < 3; i++) faults.append.push(() => Effect.die(new Error("bug")))
            yield* harness.say(session, appId, 1)
            expect(session.acks()).toEqual([])
            expect(session.ended).toMatchObject({ code: "unavailable", retryable: true })
            yield* harness.hint(appId, "Moved")
            expect(yield* harness.row(appId)).toMatchObject({ status: "reconnecting", session: null })
            const back = yield* harness.reRegister({ appId })
            yield* harness.say(back.session, appId, 1)
            expect(back.session.acks()).toEqual([1])
          })
      )
    })
  }
)
