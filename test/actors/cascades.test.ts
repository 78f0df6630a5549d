import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { ControlFrame } from "../../src/protocol/Frames.ts"
import { CascadeStore, type NewCascade } from "../../src/storage/CascadeStore.ts"
import { childInfo, Harness, layer as harnessLayer } from "./ActorHarness.ts"
import type { FakeSession } from "./FakeSession.ts"

interface Member {
  readonly appId: string
  readonly session: FakeSession
}

const born = Effect.fnUntraced(function* (parentId: string | null = null) {
  const harness = yield* Harness
  const appId = randomUUID()
  const { session } = yield* harness.register({ appId, parentId })
  return { appId, session } satisfies Member
})

const beginning = Effect.fnUntraced(function* (appId: string, patch: Partial<NewCascade> = {}) {
  const begun = yield* (yield* CascadeStore).begin({
    id: randomUUID(),
    appId,
    action: "cancel",
    payload: "null",
    scope: "tree",
    origin: null,
    reason: "enough",
    graceMs: 60_000,
    deadlineMs: null,
    filter: null,
    issuedBy: "admin",
    idempotencyKey: null,
    traceparent: null,
    ...patch
  })
  return begun?._tag === "Begun" ? begun : yield* Effect.die(new Error(`not begun at ${appId}`))
})

const begin = (appId: string, patch: Partial<NewCascade> = {}) => Effect.map(beginning(appId, patch), ({ id }) => id)

/** One round, and its hints. */
const advance = Effect.fnUntraced(function* (id: string) {
  const harness = yield* Harness
  const round = yield* (yield* CascadeStore).advance(id)
  for (const { appId } of round.forced) yield* harness.hint(appId, "Moved")
  for (const { appId } of round.asked) yield* harness.hint(appId, "Commanded")
  return round
})

const read = Effect.fnUntraced(function* (id: string) {
  const row = yield* (yield* CascadeStore).read(id)
  return row === null ? yield* Effect.die(new Error(`no cascade ${id}`)) : row
})

const outcomes = Effect.fnUntraced(function* (id: string) {
  const nodes = yield* (yield* CascadeStore).nodes(id, null, null, 1000)
  return new Map(nodes.map(({ appId, outcome, state }) => [appId, outcome ?? state]))
})

const cancels = (session: FakeSession): ReadonlyArray<ControlFrame> =>
  session.sent.filter((frame): frame is ControlFrame => frame.type === "control" && frame.action === "cancel")

const obey = Effect.fnUntraced(function* ({ appId, session }: Member, ack = true, result?: string) {
  yield* (yield* Harness).answer(session, appId, cancels(session).at(-1)!.correlation_id, ack, result)
})

layer(harnessLayer({ disconnectGrace: 0, reconnectWindow: 0 }), { excludeTestServices: true })(
  "cascades (PROTOCOL §8)",
  (it) => {
    describe("order", () => {
      it.effect("a parent is asked when all below it are through, siblings together", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const left = yield* born(root.appId)
          const right = yield* born(root.appId)
          const leaf = yield* born(left.appId)
          const id = yield* begin(root.appId)
          expect(yield* advance(id)).toMatchObject({ asked: [{ appId: leaf.appId }], forced: [], isFinished: false })
          expect(cancels(leaf.session)[0]?.payload).toEqual({ reason: "enough", graceMs: 60_000, operation: id })
          expect(yield* advance(id)).toMatchObject({ asked: [] })
          expect([root, left, right].flatMap(({ session }) => cancels(session))).toEqual([])
          yield* obey(leaf)
          expect(new Set((yield* advance(id)).asked.map(({ appId }) => appId))).toEqual(
            new Set([left.appId, right.appId])
          )
          yield* obey(left)
          yield* advance(id)
          expect(cancels(root.session)).toEqual([])
          yield* obey(right)
          yield* advance(id)
          yield* obey(root)
          expect(yield* advance(id)).toMatchObject({ asked: [], isFinished: true })
          expect(yield* read(id)).toMatchObject({
            total: 4,
            levels: 3,
            level: null,
            counts: { acked: 4, pending: 0, asked: 0, forced: 0 }
          })
          expect(yield* harness.row(root.appId)).toMatchObject({ status: "cancelled", outcome: { reason: "enough" } })
        })
      )

      it.effect("two rounds at the same moment ask once", () =>
        Effect.gen(function* () {
          const root = yield* born()
          const leaf = yield* born(root.appId)
          const id = yield* begin(root.appId)
          const store = yield* CascadeStore
          const rounds = yield* Effect.all([store.advance(id), store.advance(id)], { concurrency: "unbounded" })
          expect(rounds.flatMap(({ asked }) => asked).map(({ appId }) => appId)).toEqual([leaf.appId])
        })
      )
    })

    describe("who can't be asked, or does not answer", () => {
      it.effect("a hung child is forced after its grace, deposed, and told to stop all the same", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const id = yield* begin(root.appId, { graceMs: 0 })
          yield* advance(id)
          const before = yield* harness.row(root.appId)
          // The margin of an answer that comes with the grace's end.
          yield* Effect.sleep(1100)
          expect(yield* advance(id)).toMatchObject({
            forced: [{ appId: root.appId, owner: harness.boot }],
            isFinished: true
          })
          expect(yield* harness.row(root.appId)).toMatchObject({
            status: "cancelled",
            epoch: before.epoch + 1,
            session: null,
            outcome: { forced: true, reason: "enough" }
          })
          expect(yield* outcomes(id)).toEqual(new Map([[root.appId, "forced"]]))
          expect(root.session.restricted).toBe(true)
          expect(cancels(root.session)).toHaveLength(2)
          // Its late answer to the first cancel is noted, and changes nothing.
          yield* harness.answer(root.session, root.appId, cancels(root.session)[0]!.correlation_id, true)
          expect(root.session.errors()).toEqual([])
          expect(yield* harness.row(root.appId)).toMatchObject({ status: "cancelled", outcome: { forced: true } })
        })
      )

      it.effect("one that says it can't stop is forced at once", () =>
        Effect.gen(function* () {
          const root = yield* born()
          const id = yield* begin(root.appId)
          yield* advance(id)
          yield* obey(root, false)
          expect(yield* advance(id)).toMatchObject({ forced: [{ appId: root.appId }], isFinished: true })
        })
      )

      it.effect("one that had to kill what it stands for is forced", () =>
        Effect.gen(function* () {
          const root = yield* born()
          const id = yield* begin(root.appId)
          yield* advance(id)
          yield* obey(root, true, '{"forced":true}')
          yield* advance(id)
          expect(yield* outcomes(id)).toEqual(new Map([[root.appId, "forced"]]))
        })
      )

      it.effect("one that says so only after its Result has ended it is forced, too, and the Result is kept", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const id = yield* begin(root.appId)
          yield* advance(id)
          const { correlation_id } = cancels(root.session).at(-1)!
          yield* harness.say(root.session, root.appId, 1, "Result", '"half"', correlation_id)
          expect(yield* advance(id)).toMatchObject({ isFinished: false })
          yield* obey(root, true, '{"forced":true}')
          expect(yield* advance(id)).toMatchObject({ isFinished: true })
          expect(yield* outcomes(id)).toEqual(new Map([[root.appId, "forced"]]))
          expect(yield* harness.row(root.appId)).toMatchObject({
            status: "cancelled",
            outcome: { forced: true, payload: '"half"' }
          })
        })
      )

      it.effect("one without a session is unreachable after the grace; when it comes back it is told to stop", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          yield* harness.lose(root.session, root.appId, "peer")
          const id = yield* begin(root.appId, { graceMs: 0 })
          expect(yield* advance(id)).toMatchObject({ asked: [{ appId: root.appId, owner: null }] })
          yield* Effect.sleep(1100)
          yield* advance(id)
          expect(yield* outcomes(id)).toEqual(new Map([[root.appId, "unreachable"]]))
          const { admission, session } = yield* harness.reRegister({ appId: root.appId })
          expect(admission).toMatchObject({ _tag: "Accepted", only: "cancel" })
          expect(cancels(session)).toHaveLength(1)
        })
      )

      it.effect("one that comes back within its grace is told, and its answer counts", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          yield* harness.lose(root.session, root.appId, "peer")
          const id = yield* begin(root.appId)
          yield* advance(id)
          const { session } = yield* harness.reRegister({ appId: root.appId })
          yield* obey({ appId: root.appId, session })
          yield* advance(id)
          expect(yield* outcomes(id)).toEqual(new Map([[root.appId, "acked"]]))
        })
      )
    })

    describe("the plan", () => {
      it.effect("reaches what runs under an end, counts who has ended, and withdraws what was not started", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const inner = yield* born(root.appId)
          const leaf = yield* born(inner.appId)
          yield* harness.say(inner.session, inner.appId, 1, "Result")
          const intent = randomUUID()
          yield* harness.declare(childInfo(intent, root.appId, null, { secLevel: "open" }), null)
          const id = yield* begin(root.appId)
          expect(yield* harness.row(intent)).toMatchObject({ status: "cancelled", outcome: { reason: "enough" } })
          expect(yield* harness.kinds(intent)).toEqual(["scheduled", "cancelled"])
          yield* advance(id)
          yield* obey(leaf)
          yield* advance(id)
          yield* obey(root)
          yield* advance(id)
          expect(yield* outcomes(id)).toEqual(
            new Map([
              [leaf.appId, "acked"],
              [inner.appId, "already_terminal"],
              [intent, "acked"],
              [root.appId, "acked"]
            ])
          )
          const late = yield* harness.register({ appId: intent, parentId: root.appId })
          expect(late.admission).toMatchObject({ _tag: "Accepted", only: "cancel" })
        })
      )

      it.effect("is the answer to its beginning", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const ended = yield* born(root.appId)
          yield* harness.say(ended.session, ended.appId, 1, "Result")
          yield* harness.declare(childInfo(randomUUID(), root.appId, null, { secLevel: "open" }), null)
          const { id, isNew, plan } = yield* beginning(root.appId)
          expect(isNew).toBe(true)
          expect(plan).toMatchObject({ total: 3, counts: { pending: 1, acked: 1, already_terminal: 1 } })
          const { level: _, ...row } = yield* read(id)
          expect(plan).toMatchObject(row)
        })
      )

      it.effect("seals: nothing is born below, declared or not", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const leaf = yield* born(root.appId)
          yield* begin(root.appId)
          const declared = yield* harness.declare(childInfo(randomUUID(), leaf.appId, null, { secLevel: "open" }), null)
          expect(declared).toMatchObject({ _tag: "Rejected", error: { code: "parent_sealed" } })
          const appId = randomUUID()
          const { admission, session } = yield* harness.register({ appId, parentId: leaf.appId })
          expect(admission).toMatchObject({ only: "cancel" })
          expect(cancels(session)).toHaveLength(1)
          expect(yield* harness.row(appId)).toMatchObject({ status: "cancelled" })
        })
      )

      it.effect("with a filter that asks for nothing is about all, and seals", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const leaf = yield* born(root.appId)
          const id = yield* begin(root.appId, { filter: {} })
          expect(yield* read(id)).toMatchObject({ total: 2, filter: null })
          const late = yield* harness.register({ appId: randomUUID(), parentId: leaf.appId })
          expect(late.admission).toMatchObject({ only: "cancel" })
        })
      )

      it.effect("of a finished root is valid, and through at once when nothing runs", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          yield* harness.say(root.session, root.appId, 1, "Result")
          const id = yield* begin(root.appId)
          expect(yield* advance(id)).toMatchObject({ asked: [], isFinished: true })
          expect(yield* read(id)).toMatchObject({ counts: { already_terminal: 1 } })
        })
      )

      it.effect("previewed it says the same and writes nothing", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const leaf = yield* born(root.appId)
          const preview = yield* (yield* CascadeStore).preview({
            id: randomUUID(),
            appId: root.appId,
            action: "cancel",
            payload: "null",
            scope: "tree",
            origin: null,
            reason: "r",
            graceMs: 5000,
            deadlineMs: 4000,
            filter: null,
            issuedBy: "admin",
            idempotencyKey: null,
            traceparent: null
          })
          expect(preview).toMatchObject({
            id: null,
            total: 2,
            levels: 2,
            level: 1,
            counts: { pending: 2 },
            graceMs: 1000
          })
          expect((yield* harness.register({ appId: randomUUID(), parentId: leaf.appId })).admission).toMatchObject({
            only: null
          })
        })
      )

      it.effect("the same key is the same operation, and so is an attempt whose answer was lost", () =>
        Effect.gen(function* () {
          const root = yield* born()
          const id = randomUUID()
          expect(yield* begin(root.appId, { id, idempotencyKey: "k" })).toBe(id)
          expect(yield* begin(root.appId, { id })).toBe(id)
          expect(yield* begin(root.appId, { idempotencyKey: "k" })).toBe(id)
          expect(yield* begin(root.appId)).not.toBe(id)
        })
      )
    })

    describe("other actions", () => {
      it.effect("ask by tags, end nothing, seal nothing, and can be repeated where nobody answered", () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* born()
          const info = (appId: string, type: string) =>
            childInfo(appId, root.appId, null, { secLevel: "open", tags: { device_type: type } })
          const [gas, smoke] = [randomUUID(), randomUUID()]
          const gasNode = yield* harness.register({ appId: gas, parentId: root.appId, info: info(gas, "gas_detector") })
          yield* harness.register({ appId: smoke, parentId: root.appId, info: info(smoke, "smoke_detector") })
          const id = yield* begin(root.appId, {
            action: "calibrate",
            payload: '{"to":1.50}',
            filter: { device_type: "gas_detector" },
            graceMs: 0
          })
          expect((yield* advance(id)).asked).toMatchObject([{ appId: gas }])
          const frame = gasNode.session.find("control")
          expect(frame).toMatchObject({ action: "calibrate", payload: { to: 1.5 } })
          yield* Effect.sleep(1100)
          expect(yield* advance(id)).toMatchObject({ forced: [], isFinished: true })
          expect(yield* outcomes(id)).toEqual(new Map([[gas, "unreachable"]]))
          expect(yield* harness.row(gas)).toMatchObject({ status: "connected" })

          yield* (yield* CascadeStore).retry(id)
          yield* advance(id)
          const again = gasNode.session.sent.findLast((sent): sent is ControlFrame => sent.type === "control")
          expect(again?.correlation_id).not.toBe(frame?.correlation_id)
          yield* harness.answer(gasNode.session, gas, again!.correlation_id, true)
          expect(yield* advance(id)).toMatchObject({ isFinished: true })
          expect(yield* outcomes(id)).toEqual(new Map([[gas, "acked"]]))
          expect((yield* harness.register({ appId: randomUUID(), parentId: root.appId })).admission).toMatchObject({
            only: null
          })
        })
      )
    })
  }
)
