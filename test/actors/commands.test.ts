import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { CascadeStore, type NewCascade } from "../../src/storage/CascadeStore.ts"
import { EVIDENCE_LIMIT } from "../../src/actors/node/decideData.ts"
import { entry, writeOf } from "../../src/actors/node/commit.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { NodeQueries } from "../../src/storage/NodeQueries.ts"
import { OPEN_COMMANDS } from "../../src/storage/CommandStore.ts"
import { layer as harnessLayer } from "./ActorHarness.ts"
import { actions, born, controls, read, send } from "./commanding.ts"

const cancelOf = (appId: string): NewCascade => ({
  id: randomUUID(),
  appId,
  action: "cancel",
  payload: "null",
  scope: "node",
  origin: null,
  reason: "r",
  graceMs: 5000,
  deadlineMs: null,
  filter: null,
  issuedBy: "admin",
  idempotencyKey: null,
  traceparent: null
})

/** A node that was told to cancel, and the id of that. */
const told = Effect.fnUntraced(function* () {
  const node = yield* born()
  const { correlationId } = yield* send(node.appId, { action: "cancel", payload: '{"reason":"enough","graceMs":500}' })
  yield* node.harness.hint(node.appId, "Commanded")
  return { ...node, correlationId }
})

layer(harnessLayer({ disconnectGrace: 0, reconnectWindow: 0 }), { excludeTestServices: true })(
  "commands (PROTOCOL §8)",
  (it) => {
    describe("delivery", () => {
      it.effect("is committed with its log row before it is sent, and keeps the payload's exact text", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const { correlationId, sent } = yield* send(appId)
          expect(sent).toMatchObject({ _tag: "Queued", owner: harness.boot, row: { state: "queued" } })
          yield* harness.hint(appId, "Commanded")
          const [control] = controls(session)
          const row = yield* harness.row(appId)
          expect(control).toMatchObject({
            correlation_id: correlationId,
            action: "set_rate",
            issued_by: "admin",
            session: session.id,
            incarnation: 1,
            epoch: row.epoch
          })
          const logged = (yield* harness.log(appId)).at(-1)
          expect(logged).toMatchObject({
            kind: "control",
            correlationId,
            data: { action: "set_rate", state: "delivered" }
          })
          expect(logged?.frame).toContain('"payload":{"hz":12345678901234567890}')
          expect(yield* read(appId, correlationId)).toMatchObject({ state: "delivered", deliveries: 1 })
        })
      )

      it.effect("happens once per session, whatever is hinted, and again in the next one", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const { correlationId } = yield* send(appId)
          yield* harness.hint(appId, "Commanded")
          yield* harness.hint(appId, "Commanded")
          expect(controls(session)).toHaveLength(1)
          yield* harness.lose(session, appId, "peer")
          const again = yield* harness.reRegister({ appId })
          expect(actions(again.session)).toEqual(["set_rate"])
          expect(yield* read(appId, correlationId)).toMatchObject({ state: "delivered", deliveries: 2 })
        })
      )

      it.effect("waits for a node that is away, keeps the order, and puts a cancel first", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          yield* harness.lose(session, appId, "peer")
          yield* send(appId, { action: "a" })
          yield* send(appId, { action: "b" })
          yield* send(appId, { action: "cancel", payload: '{"reason":"x","graceMs":1}' })
          const { session: back } = yield* harness.reRegister({ appId })
          expect(actions(back)).toEqual(["cancel", "a", "b"])
          expect(back.sent[0]).toMatchObject({ type: "registered" })
        })
      )

      it.effect("leaves out what has expired", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const { correlationId } = yield* send(appId, { ttlMs: 0 })
          yield* harness.hint(appId, "Commanded")
          expect(controls(session)).toEqual([])
          expect(yield* read(appId, correlationId)).toMatchObject({ state: "expired", error: "expired", ack: null })
        })
      )

      it.effect(`tells no more than ${OPEN_COMMANDS} at once, and the next when one is answered`, () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          for (let i = 0; i < OPEN_COMMANDS + 2; i++) yield* send(appId, { action: `a${i}` })
          yield* harness.hint(appId, "Commanded")
          expect(controls(session)).toHaveLength(OPEN_COMMANDS)
          yield* harness.answer(session, appId, controls(session)[0]!.correlation_id, true)
          expect(actions(session).at(-1)).toBe(`a${OPEN_COMMANDS}`)
          expect(controls(session)).toHaveLength(OPEN_COMMANDS + 1)
        })
      )
    })

    describe("answers", () => {
      it.effect("the first one stands; a repetition says nothing new", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const { correlationId } = yield* send(appId)
          yield* harness.hint(appId, "Commanded")
          yield* harness.answer(session, appId, correlationId, true, '{"n":12345678901234567890}')
          yield* harness.answer(session, appId, correlationId, false)
          expect(yield* read(appId, correlationId)).toMatchObject({
            state: "answered",
            ack: true,
            result: '{"n":12345678901234567890}',
            error: null
          })
          expect(session.errors()).toEqual([])
          expect(yield* harness.kinds(appId)).toEqual(["connected", "control", "control"])
          expect(yield* harness.row(appId)).toMatchObject({ status: "connected" })
        })
      )

      it.effect("the first one stands in the queue, whoever writes the second: it is no replica's to overwrite", () =>
        Effect.gen(function* () {
          const { appId, harness } = yield* born()
          const { correlationId } = yield* send(appId)
          yield* harness.hint(appId, "Commanded")
          const store = yield* NodeStore
          for (const result of ["1", "2"]) {
            const write = writeOf(yield* harness.row(appId), randomUUID(), {
              hot: {},
              deadlineIn: "keep",
              rows: [entry("control", 1, null)],
              commands: [{ _tag: "Answered", correlationId, answer: { ack: true, result } }]
            })
            expect(yield* store.append(0, [write])).toEqual([{ _tag: "Committed" }])
          }
          expect(yield* read(appId, correlationId)).toMatchObject({ state: "answered", result: "1" })
        })
      )

      it.effect("a refusal is the answer, and the node goes on", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const { correlationId } = yield* send(appId)
          yield* harness.hint(appId, "Commanded")
          yield* harness.answer(session, appId, correlationId, false)
          expect(yield* read(appId, correlationId)).toMatchObject({
            state: "answered",
            ack: false,
            error: "unknown_action"
          })
          expect(yield* harness.row(appId)).toMatchObject({ status: "connected" })
        })
      )

      it.effect("to nothing, or to another node's command, are refused", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const other = yield* born()
          const { correlationId } = yield* send(other.appId)
          yield* harness.hint(other.appId, "Commanded")
          yield* harness.answer(session, appId, randomUUID(), true)
          yield* harness.answer(session, appId, correlationId, true)
          yield* harness.answer(session, appId, "no-uuid", true)
          expect(session.errors()).toEqual(["!bad_frame", "!bad_frame", "!bad_frame"])
          expect(yield* read(other.appId, correlationId)).toMatchObject({ state: "delivered" })
        })
      )

      it.effect("that come too late are kept as evidence and change nothing", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          const { correlationId } = yield* send(appId, { ttlMs: 150 })
          yield* harness.hint(appId, "Commanded")
          expect(controls(session)).toHaveLength(1)
          yield* Effect.sleep(200)
          yield* harness.answer(session, appId, correlationId, true)
          expect(yield* read(appId, correlationId)).toMatchObject({ state: "expired", ack: null })
          expect((yield* harness.log(appId)).at(-1)).toMatchObject({
            kind: "control",
            correlationId,
            data: { outcome: "late" }
          })
        })
      )
    })

    it.effect("of a cancel whose time is over do not end the node, and are kept up to a limit", () =>
      Effect.gen(function* () {
        const { appId, harness, session } = yield* born()
        const { correlationId } = yield* send(appId, { action: "cancel", payload: '{"reason":"x"}', ttlMs: 150 })
        yield* harness.hint(appId, "Commanded")
        expect(controls(session)).toHaveLength(1)
        yield* Effect.sleep(200)
        for (let i = 0; i < EVIDENCE_LIMIT + 2; i++) yield* harness.answer(session, appId, correlationId, true)
        expect(yield* harness.row(appId)).toMatchObject({ status: "connected" })
        const late = (yield* harness.log(appId)).filter(({ data }) => data?.["outcome"] === "late")
        expect(late).toHaveLength(EVIDENCE_LIMIT)
        expect(session.errors()).toEqual(["!bad_frame", "!bad_frame"])
      })
    )

    describe("capabilities", () => {
      it.effect("what a node says later takes the place of what it registered with, and the log tells of it", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          yield* harness.capable(session, appId, ["reload"], 700)
          const row = yield* (yield* NodeQueries).app(appId)
          expect(row?.["metadata_json"]).toMatchObject({ capabilities: ["reload"] })
          expect((yield* harness.log(appId)).at(-1)).toMatchObject({
            kind: "control",
            data: { capabilities: ["reload"] }
          })
          const operation = cancelOf(appId)
          yield* (yield* CascadeStore).begin(operation)
          const [node] = yield* (yield* CascadeStore).nodes(operation.id, null, null, 10)
          expect(node).toMatchObject({ graceMs: 700 })
        })
      )
    })

    describe("idempotency", () => {
      it.effect("the same key of the same issuer is the same command; another issuer's is another", () =>
        Effect.gen(function* () {
          const { appId } = yield* born()
          const first = yield* send(appId, { idempotencyKey: "k" })
          const second = yield* send(appId, { idempotencyKey: "k" })
          const other = yield* send(appId, { idempotencyKey: "k", issuedBy: "node:x" })
          expect(second.sent).toMatchObject({ _tag: "Known", row: { correlationId: first.correlationId } })
          expect(other.sent).toMatchObject({ _tag: "Queued" })
        })
      )

      it.effect("an attempt whose answer was lost is found again", () =>
        Effect.gen(function* () {
          const { appId } = yield* born()
          const correlationId = randomUUID()
          yield* send(appId, { correlationId })
          expect((yield* send(appId, { correlationId })).sent).toMatchObject({ _tag: "Queued", row: { correlationId } })
        })
      )

      it.effect("there is none for a node that has ended, or is not known", () =>
        Effect.gen(function* () {
          const { appId, harness, session } = yield* born()
          yield* harness.say(session, appId, 1, "Result")
          expect((yield* send(appId)).sent).toEqual({ _tag: "Ended", status: "done" })
          expect((yield* send(randomUUID())).sent).toEqual({ _tag: "Unknown" })
        })
      )
    })

    describe("cancel", () => {
      it.effect("an acked one ends the node as cancelled, in one write with the answer", () =>
        Effect.gen(function* () {
          const { appId, correlationId, harness, session } = yield* told()
          yield* harness.answer(session, appId, correlationId, true, '{"tidy":true}')
          expect(yield* harness.row(appId)).toMatchObject({
            status: "cancelled",
            outcome: { state: "cancelled", reason: "enough", payload: '{"tidy":true}' }
          })
          expect(yield* harness.kinds(appId)).toEqual(["connected", "control", "cancelled"])
          expect(yield* read(appId, correlationId)).toMatchObject({ state: "answered", ack: true })
          yield* harness.disconnect(session, appId, 1, "cancelled")
          expect(session.acks()).toEqual([1])
          expect(session.ended).toBeNull()
        })
      )

      it.effect("what had to be killed is forced", () =>
        Effect.gen(function* () {
          const { appId, correlationId, harness, session } = yield* told()
          yield* harness.answer(session, appId, correlationId, true, '{"forced":true}')
          expect(yield* harness.row(appId)).toMatchObject({ status: "cancelled", outcome: { forced: true } })
        })
      )

      it.effect("a Result from its hook is attached; any other Result is the node's own end", () =>
        Effect.gen(function* () {
          const hooked = yield* told()
          yield* hooked.harness.say(hooked.session, hooked.appId, 1, "Result", '{"half":1}', hooked.correlationId)
          expect(yield* hooked.harness.row(hooked.appId)).toMatchObject({
            status: "cancelled",
            outcome: { state: "cancelled", reason: "enough", payload: '{"half":1}' }
          })
          yield* hooked.harness.answer(hooked.session, hooked.appId, hooked.correlationId, true)
          expect(yield* read(hooked.appId, hooked.correlationId)).toMatchObject({ state: "answered", ack: true })
          expect(yield* hooked.harness.row(hooked.appId)).toMatchObject({ outcome: { payload: '{"half":1}' } })

          const finished = yield* told()
          yield* finished.harness.say(finished.session, finished.appId, 1, "Result", '{"all":1}')
          expect(yield* finished.harness.row(finished.appId)).toMatchObject({ status: "done" })
        })
      )

      it.effect("a refused one leaves the node as it is", () =>
        Effect.gen(function* () {
          const { appId, correlationId, harness, session } = yield* told()
          yield* harness.answer(session, appId, correlationId, false)
          expect(yield* harness.row(appId)).toMatchObject({ status: "connected" })
        })
      )
    })
  }
)
