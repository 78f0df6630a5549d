import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import type { EnvelopeFields } from "../../src/protocol/Envelope.ts"
import type { ControlFrame } from "../../src/protocol/Frames.ts"
import { Database } from "../../src/storage/Database.ts"
import { CascadeStore } from "../../src/storage/CascadeStore.ts"
import { StoreError } from "../../src/storage/StoreError.ts"
import { cascadeRunner } from "../../src/supervision/CascadeRunner.ts"
import { exitPolicies } from "../../src/supervision/ExitPolicy.ts"
import { HintTarget } from "../../src/supervision/HintTarget.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { childInfo, Harness, layer as harnessLayer } from "./ActorHarness.ts"
import type { FakeSession } from "./FakeSession.ts"

type Policy = Partial<NonNullable<EnvelopeFields["supervision"]>>

interface Member {
  readonly appId: string
  readonly session: FakeSession
}

const born = Effect.fnUntraced(function* (parentId: string | null = null, supervision: Policy = {}) {
  const harness = yield* Harness
  const appId = randomUUID()
  const info = childInfo(appId, parentId, null, { secLevel: "open", supervision })
  const { session } = yield* harness.register({ appId, parentId, info })
  return { appId, session } satisfies Member
})

const cancelOf = ({ session }: Member): ControlFrame | undefined =>
  session.sent.find((frame): frame is ControlFrame => frame.type === "control" && frame.action === "cancel")

const until = Effect.fnUntraced(function* (what: string, predicate: Effect.Effect<boolean, unknown>) {
  for (let i = 0; i < 1000; i++) {
    if (yield* predicate) return
    yield* Effect.sleep(10)
  }
  return yield* Effect.die(new Error(`waited in vain: ${what}`))
})

/** Answers the cancel when it comes; `reason` is what it says. */
const obey = Effect.fnUntraced(function* (member: Member, reason: string) {
  yield* until(
    `${member.appId} is told to stop`,
    Effect.sync(() => cancelOf(member) !== undefined)
  )
  const cancel = cancelOf(member)!
  expect(cancel.payload).toMatchObject({ reason })
  yield* (yield* Harness).answer(member.session, member.appId, cancel.correlation_id, true)
})

const allThrough = Effect.flatMap(CascadeStore, (store) =>
  until(
    "every operation is through",
    Effect.map(store.running(null, 10), (ids) => ids.length === 0)
  )
)

const running = Layer.effectDiscard(
  Effect.gen(function* () {
    yield* startSupervisor({
      name: "duties",
      strategy: "one_for_one",
      children: [yield* exitPolicies, yield* cascadeRunner]
    })
  })
).pipe(
  Layer.provideMerge(
    Layer.effect(
      HintTarget,
      Effect.map(ActorSystem, ({ hint }) => ({ hint }))
    )
  ),
  Layer.provideMerge(harnessLayer({ disconnectGrace: 0, reconnectWindow: 60_000 }))
)

layer(running, { excludeTestServices: true })("exit policies (PROTOCOL §2 supervision)", (it) => {
  describe("onParentExit", () => {
    it.effect("cancel: the child's whole tree ends with its parent, bottom-up; abandoned ones go on", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const parent = yield* born()
        const child = yield* born(parent.appId, { onParentExit: "cancel" })
        const grandchild = yield* born(child.appId)
        const abandoned = yield* born(parent.appId)
        yield* harness.say(parent.session, parent.appId, 1, "Result")
        yield* obey(grandchild, "parent_exited")
        yield* obey(child, "parent_exited")
        yield* allThrough
        expect(cancelOf(abandoned)).toBeUndefined()
        expect(yield* harness.row(child.appId)).toMatchObject({ status: "cancelled" })
        expect(yield* harness.row(abandoned.appId)).toMatchObject({ status: "connected" })
        const [operation] = yield* (yield* CascadeStore).list(parent.appId, null, 10)
        expect(operation).toMatchObject({
          scope: "dependents",
          issuedBy: "policy:onParentExit",
          total: 2,
          counts: { acked: 2 }
        })
      })
    )

    it.effect("cancel: also when the parent crashed, and nothing new is born below the child", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const parent = yield* born()
        const child = yield* born(parent.appId, { onParentExit: "cancel" })
        yield* harness.lose(parent.session, parent.appId, "peer")
        yield* harness.hint(parent.appId, "Deadline")
        expect(yield* harness.row(parent.appId)).toMatchObject({ status: "crashed" })
        yield* until(
          "the child is told to stop",
          Effect.sync(() => cancelOf(child) !== undefined)
        )
        const late = yield* harness.register({ appId: randomUUID(), parentId: child.appId })
        expect(late.admission).toMatchObject({ only: "cancel" })
        yield* obey(child, "parent_exited")
        yield* allThrough
      })
    )

    it.effect("cancel: who comes after a parent's verdict is born cancelled, and told to stop", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const parent = yield* born()
        yield* harness.lose(parent.session, parent.appId, "peer")
        yield* harness.hint(parent.appId, "Deadline")
        expect(yield* harness.row(parent.appId)).toMatchObject({ status: "crashed" })
        const late = yield* born(parent.appId, { onParentExit: "cancel" })
        expect(cancelOf(late)?.payload).toMatchObject({ reason: "parent_exited" })
        expect(yield* harness.row(late.appId)).toMatchObject({ status: "cancelled" })
      })
    )
  })

  describe("onCrash", () => {
    const crash = Effect.fnUntraced(function* (member: Member) {
      const harness = yield* Harness
      yield* harness.lose(member.session, member.appId, "peer")
      yield* harness.hint(member.appId, "Deadline")
      expect(yield* harness.row(member.appId)).toMatchObject({ status: "crashed" })
    })

    it.effect("cancel_siblings: all children of the parent but itself", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const parent = yield* born()
        const sibling = yield* born(parent.appId)
        const niece = yield* born(sibling.appId)
        yield* crash(yield* born(parent.appId, { onCrash: "cancel_siblings" }))
        yield* obey(niece, "sibling_crashed")
        yield* obey(sibling, "sibling_crashed")
        yield* allThrough
        expect(cancelOf(parent)).toBeUndefined()
        expect(yield* harness.row(parent.appId)).toMatchObject({ status: "connected" })
      })
    )

    it.effect("escalate: the parent's whole tree", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const parent = yield* born()
        const sibling = yield* born(parent.appId)
        const crashed = yield* born(parent.appId, { onCrash: "escalate" })
        yield* crash(crashed)
        yield* obey(sibling, "child_crashed")
        const { session } = yield* harness.reRegister({ appId: crashed.appId })
        yield* obey({ appId: crashed.appId, session }, "child_crashed")
        yield* obey(parent, "child_crashed")
        yield* allThrough
        expect(yield* harness.row(parent.appId)).toMatchObject({ status: "cancelled" })
      })
    )

    it.effect("notify: nothing but the event; and an end that is no crash has no such consequence", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const parent = yield* born()
        const sibling = yield* born(parent.appId)
        yield* crash(yield* born(parent.appId))
        const failed = yield* born(parent.appId, { onCrash: "cancel_siblings" })
        yield* harness.say(failed.session, failed.appId, 1, "Error")
        // What has consequences of this kind is read behind them.
        const other = yield* born()
        const dependent = yield* born(other.appId, { onParentExit: "cancel" })
        yield* harness.say(other.session, other.appId, 1, "Result")
        yield* obey(dependent, "parent_exited")
        expect(cancelOf(sibling)).toBeUndefined()
        expect(yield* (yield* CascadeStore).list(parent.appId, null, 10)).toEqual([])
      })
    )
  })
})

/** Nodes for which no operation can begin. */
const sick = new Set<string>()
const faulty = Layer.effect(
  CascadeStore,
  Effect.map(CascadeStore, (store) =>
    CascadeStore.of({
      ...store,
      begin: (cascade) =>
        sick.has(cascade.appId)
          ? Effect.fail(new StoreError({ reason: "Timeout", operation: "cascade.begin", message: "canceled" }))
          : store.begin(cascade)
    })
  )
)
const bare = Layer.effect(
  HintTarget,
  Effect.map(ActorSystem, ({ hint }) => ({ hint }))
).pipe(Layer.provideMerge(faulty), Layer.provideMerge(harnessLayer({ disconnectGrace: 0 })))

layer(bare, { excludeTestServices: true })("an end in the log", (it) => {
  it.effect("that is read twice has its consequences once: a replica may die between the end and the note of it", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const cascades = yield* CascadeStore
      const database = yield* Database
      const parent = yield* born()
      yield* born(parent.appId, { onParentExit: "cancel" })
      yield* harness.say(parent.session, parent.appId, 1, "Result")
      const cursor = Effect.map(
        database.query({ name: "", text: "select cursor from leases where duty = 'exit-policies'" }, []),
        ([row]) => (row?.["cursor"] as number | undefined) ?? 0
      )
      for (let times = 0; times < 2; times++) {
        yield* database.query({ name: "", text: "update leases set cursor = 0, holder = null" }, [])
        const duties = yield* startSupervisor({
          name: "again",
          strategy: "one_for_one",
          children: [yield* exitPolicies]
        })
        yield* until(
          "the end has been read",
          Effect.map(cursor, (id) => id > 0)
        )
        yield* duties.stop
      }
      expect(yield* cascades.list(parent.appId, null, 10)).toHaveLength(1)
    }).pipe(Effect.scoped)
  )

  it.effect("and was reopened has no consequences, also when the node has ended otherwise since", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const parent = yield* born()
      const child = yield* born(parent.appId, { onCrash: "escalate" })
      yield* harness.lose(child.session, child.appId, "peer")
      yield* harness.hint(child.appId, "Deadline")
      expect(yield* harness.row(child.appId)).toMatchObject({ status: "crashed" })
      const mine = Effect.map((yield* CascadeStore).exits(0, 1000), ({ exits }) =>
        exits.filter(({ appId }) => appId === child.appId)
      )
      expect(yield* mine).toMatchObject([{ onCrash: "escalate" }])
      const { session } = yield* harness.reRegister({ appId: child.appId })
      yield* harness.say(session, child.appId, 1, "Result")
      expect(yield* harness.row(child.appId)).toMatchObject({ status: "done" })
      expect(yield* mine).toEqual([])
    })
  )

  it.effect("is read on behind one that fails, which is found again after a restart", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const cascades = yield* CascadeStore
      const begun = ({ appId }: Member) =>
        Effect.map(cascades.list(appId, null, 10), (operations) => operations.length === 1)
      const policies = Effect.gen(function* () {
        return yield* startSupervisor({ name: "p", strategy: "one_for_one", children: [yield* exitPolicies] })
      })
      const [bad, good] = [yield* born(), yield* born()]
      for (const parent of [bad, good]) {
        yield* born(parent.appId, { onParentExit: "cancel" })
        yield* harness.say(parent.session, parent.appId, 1, "Result")
      }
      sick.add(bad.appId)
      const first = yield* policies
      yield* until("the other's consequence has begun", begun(good))
      yield* first.stop
      sick.clear()
      yield* policies
      yield* until("its own has begun, too", begun(bad))
    }).pipe(Effect.scoped)
  )

  it.effect("that failed is tried again without a restart", () =>
    Effect.gen(function* () {
      const harness = yield* Harness
      const cascades = yield* CascadeStore
      const [bad, good] = [yield* born(), yield* born()]
      sick.add(bad.appId)
      yield* startSupervisor({ name: "p", strategy: "one_for_one", children: [yield* exitPolicies] })
      for (const parent of [bad, good]) {
        yield* born(parent.appId, { onParentExit: "cancel" })
        yield* harness.say(parent.session, parent.appId, 1, "Result")
        if (parent === bad) continue
        yield* until(
          "it was read",
          Effect.map(cascades.list(good.appId, null, 10), (operations) => operations.length === 1)
        )
      }
      sick.clear()
      yield* until(
        "it has begun",
        Effect.map(cascades.list(bad.appId, null, 10), (operations) => operations.length === 1)
      )
    }).pipe(Effect.scoped)
  )
})
