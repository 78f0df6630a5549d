import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { FakeSession } from "./FakeSession.ts"
import { Harness, layer as harnessLayer } from "./ActorHarness.ts"

const node = Effect.fnUntraced(function* (session = new FakeSession()) {
  const harness = yield* Harness
  const appId = randomUUID()
  yield* harness.register({ appId, session })
  return { appId, session }
})

layer(harnessLayer({ disconnectGrace: 0, reconnectWindow: 0 }), { excludeTestServices: true })(
  "a node's actor on the real store",
  (it) => {
    describe("data path (PROTOCOL §6)", () => {
      it.effect("P1 P2 P3: stores, acks, tells a repetition, refuses a conflict", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.say(session, appId, 1)
          yield* harness.say(session, appId, 4)
          yield* harness.say(session, appId, 1)
          yield* harness.say(session, appId, 4, "Status", '{"other":true}')
          yield* harness.say(session, appId, 3)
          expect(session.acks()).toEqual([1, 4, 4])
          expect(session.errors()).toEqual(["4!seq_conflict", "3!seq_conflict"])
          expect((yield* harness.log(appId)).map((row) => [row.kind, row.n, row.seq])).toEqual([
            ["connected", 1, null],
            ["status", 2, 1],
            ["status", 3, 4]
          ])
          expect(yield* harness.row(appId)).toMatchObject({ status: "running", lastSeq: 4, n: 3 })
        })
      )

      it.effect("the stored frame is the sent one, byte for byte, and the payload its exact slice", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.say(session, appId, 1, "Status", '{"text":"\\u0000 ü"}')
          const [, row] = yield* harness.log(appId)
          expect(row?.frame).toContain('"payload":{"text":"\\u0000 ü"}')
        })
      )

      it.effect("P9: the first terminal message wins, later ones are refused and kept as evidence", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.say(session, appId, 1, "Result", '{"rows":1}')
          yield* harness.say(session, appId, 2, "Error", '{"late":1}')
          yield* harness.disconnect(session, appId, 3, "completed")
          expect(session.acks()).toEqual([1, 3])
          expect(session.errors()).toEqual(["2!terminal"])
          expect(session.ended).toBeNull()
          expect(yield* harness.row(appId)).toMatchObject({
            status: "done",
            outcome: { state: "done", payload: '{"rows":1}' }
          })
          expect(yield* harness.kinds(appId)).toEqual(["connected", "result", "refused", "refused"])
          const again = yield* harness.reRegister({ appId })
          expect(again.admission).toMatchObject({ error: { code: "terminal", seq: 3 } })
        })
      )

      it.effect("a legacy client gets one ack per frame, in order, and may re-queue out of order", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node(new FakeSession("legacy"))
          for (const seq of [1, 3, 2, 3]) yield* harness.say(session, appId, seq)
          expect(session.acks()).toEqual([1, 3, 2, 3])
          expect((yield* harness.log(appId)).map((row) => row.seq)).toEqual([null, 1, 3, 2])
        })
      )

      it.effect("credit comes back for every frame, also for those of a stranger (P17)", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          const stranger = new FakeSession()
          yield* harness.say(session, appId, 1)
          yield* harness.say(stranger, appId, 2)
          expect([session.settled.frames, stranger.settled.frames]).toEqual([1, 1])
          expect(stranger.sent).toEqual([])
          expect(yield* harness.row(appId)).toMatchObject({ lastSeq: 1 })
        })
      )
    })

    describe("what two reviews found", () => {
      const spyOn = Effect.fnUntraced(function* (appId: string) {
        const { log } = yield* Harness
        return (yield* log(appId)).map((row) => row.kind)
      })

      it.effect("P8: a registration that waits with a passed deadline in one batch goes first: no verdict", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.lose(session, appId, "peer")
          const back = yield* harness.together(appId)
          expect(back.admission).toMatchObject({ _tag: "Accepted" })
          expect(yield* spyOn(appId)).toEqual(["connected", "reconnecting", "recovered"])
        })
      )

      it.effect("a reaper that is late does not take a node from the owner that it has gone to", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.moveTo(appId, { owner: randomUUID(), session: randomUUID() })
          yield* harness.hint(appId, "Moved")
          expect(session.ended).toMatchObject({ code: "replaced" })
          yield* harness.hint(appId, "Orphaned")
          expect(yield* harness.row(appId)).toMatchObject({ status: "connected", epoch: 2 })
        })
      )

      it.effect("a session that was taken away while nobody came instead is asked to come back", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.moveTo(appId, { owner: null, session: null, status: "reconnecting", before: "connected" })
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([])
          expect(session.ended).toMatchObject({ code: "unavailable", retryable: true })
        })
      )

      it.effect("an impostor's frame, which may carry the stolen ticket, is in no log", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId } = yield* node()
          yield* harness.register({ appId, key: "thief" })
          const log = yield* harness.log(appId)
          expect(log.map(({ frame, kind }) => [kind, frame === null])).toEqual([
            ["connected", false],
            ["impostor", true]
          ])
        })
      )
    })

    describe("silence and return (PROTOCOL §7)", () => {
      it.effect.each([
        ["peer", "crash", "connection_drop"],
        ["heartbeat", "crash", "heartbeat_timeout"],
        ["server", "lost_contact", "server_closed"]
      ] as const)("socket lost (%s) → reconnecting → %s %s, and proof of life reopens it", ([cause, kind, reason]) =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.say(session, appId, 1)
          yield* harness.lose(session, appId, cause)
          expect(yield* harness.row(appId)).toMatchObject({
            status: "reconnecting",
            before: "running",
            owner: null,
            session: null
          })
          yield* harness.hint(appId, "Deadline")
          const log = yield* harness.log(appId)
          expect(log.at(-1)).toMatchObject({ kind, data: { crash_type: reason } })
          const back = yield* harness.reRegister({ appId })
          expect(back.session.find("registered")).toMatchObject({ last_seq: 1, incarnation: 1, epoch: 2 })
          expect(yield* harness.row(appId)).toMatchObject({
            status: "running",
            before: null,
            deadlineAt: null,
            outcome: null
          })
          expect(yield* harness.kinds(appId)).toEqual(["connected", "status", "reconnecting", kind, "recovered"])
        })
      )

      it.effect("P8: a deadline that a returned child has outrun does nothing", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.lose(session, appId, "peer")
          yield* harness.reRegister({ appId })
          yield* harness.hint(appId, "Deadline")
          expect((yield* harness.row(appId)).status).toBe("connected")
        })
      )

      it.effect(
        "the late clean-up of an old socket never touches the newer session (1,000 reconnects before it)",
        () =>
          Effect.gen(function* () {
            const harness = yield* Harness
            const { appId, session } = yield* node()
            const older = [session]
            for (let i = 0; i < 1000; i++) older.push((yield* harness.reRegister({ appId })).session)
            const current = older.pop()!
            for (const old of older) {
              expect(old.ended).toMatchObject({ code: "replaced" })
              yield* harness.lose(old, appId, "peer")
            }
            yield* harness.say(current, appId, 1)
            expect(current.acks()).toEqual([1])
            expect(yield* harness.row(appId)).toMatchObject({ status: "running", epoch: 1001, session: current.id })
            expect((yield* harness.kinds(appId)).filter((kind) => kind === "reconnecting")).toEqual([])
          }),
        30_000
      )

      it.effect("an orphaned hint about a node whose session is here changes nothing", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const { appId, session } = yield* node()
          yield* harness.hint(appId, "Orphaned")
          yield* harness.say(session, appId, 1)
          expect(session.acks()).toEqual([1])
          expect((yield* harness.row(appId)).epoch).toBe(1)
        })
      )
    })
  }
)
