import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { childInfo, Harness, layer as harnessLayer } from "./ActorHarness.ts"
import { code, signedRoot, sql } from "./registering.ts"

layer(harnessLayer(), { excludeTestServices: true })("declaration (PROTOCOL §3, §4)", (it) => {
  describe("declared children", () => {
    it.effect("declare is idempotent, the child registers with its ticket; another id's ticket does not", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root)
        expect(yield* harness.declare(info, root.appId)).toMatchObject({ _tag: "Done", created: true })
        expect(yield* harness.declare(info, root.appId)).toMatchObject({ _tag: "Done", created: false })
        expect((yield* harness.row(appId)).status).toBe("scheduled")
        const other = childInfo(appId, root.appId, root, { tags: { stolen: true } })
        expect(code(yield* harness.register({ appId, parentId: root.appId, info: other, verified: true }))).toBe(
          "!ticket_invalid"
        )
        expect(code(yield* harness.register({ appId, parentId: root.appId, info, verified: true }))).toBe("accepted")
        expect(yield* harness.kinds(appId)).toEqual(["scheduled", "impostor", "connected"])
      })
    )

    it.effect("a hint of its deadline that comes too early changes nothing: the row decides", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        yield* harness.declare(childInfo(appId, root.appId, root), root.appId)
        yield* harness.hint(appId, "Deadline")
        expect(yield* harness.kinds(appId)).toEqual(["scheduled"])
      })
    )

    it.effect("a node declares its own children only", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const [one, other] = [yield* signedRoot(), yield* signedRoot()]
        const answer = yield* harness.declare(childInfo(randomUUID(), other.appId, other), one.appId)
        expect(answer).toMatchObject({ error: { code: "registration_failed" } })
      })
    )

    it.effect("a deleted intent is cancelled, for good; a running node's is refused", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root)
        yield* harness.declare(info, root.appId)
        expect(yield* harness.deleteIntent(appId)).toMatchObject({ _tag: "Done" })
        const late = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        expect(late.admission).toMatchObject({ only: "cancel" })
        expect(yield* harness.row(appId)).toMatchObject({ status: "cancelled", outcome: { reason: "intent_deleted" } })
        expect(yield* harness.deleteIntent(root.appId)).toMatchObject({ error: { code: "registration_failed" } })
      })
    )

    it.effect("replaces ends the old node in the same transaction, and the living original is told to stop", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const [oldId, newId] = [randomUUID(), randomUUID()]
        const old = yield* harness.register({
          appId: oldId,
          parentId: root.appId,
          info: childInfo(oldId, root.appId, root),
          verified: true
        })
        const answer = yield* harness.declare(childInfo(newId, root.appId, root), root.appId, oldId)
        expect(answer).toMatchObject({ _tag: "Done", created: true })
        yield* harness.hint(oldId, "Moved")
        expect(yield* harness.row(oldId)).toMatchObject({
          status: "cancelled",
          epoch: 2,
          outcome: { reason: "superseded", forced: true }
        })
        expect(old.session.find("control")).toMatchObject({
          action: "cancel",
          epoch: 2,
          payload: { reason: "superseded" }
        })
        yield* harness.disconnect(old.session, oldId, 1, "cancelled")
        expect(old.session.acks()).toEqual([1])
        expect((yield* harness.row(oldId)).status).toBe("cancelled")
      })
    )

    it.effect("replaces on a child that has registered already is refused: both would run side by side", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const [oldId, newId] = [randomUUID(), randomUUID()]
        const newInfo = childInfo(newId, root.appId, root)
        for (const [appId, info] of [
          [oldId, childInfo(oldId, root.appId, root)],
          [newId, newInfo]
        ] as const) {
          yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        }
        const answer = yield* harness.declare(newInfo, root.appId, oldId)
        expect(answer).toMatchObject({ error: { code: "registration_failed" } })
        expect((yield* harness.row(oldId)).status).toBe("connected")
      })
    )

    it.effect("a declaration with replaces that is repeated is answered the same", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const [oldId, newId] = [randomUUID(), randomUUID()]
        yield* harness.register({
          appId: oldId,
          parentId: root.appId,
          info: childInfo(oldId, root.appId, root),
          verified: true
        })
        const info = childInfo(newId, root.appId, root)
        expect(yield* harness.declare(info, root.appId, oldId)).toMatchObject({ _tag: "Done", created: true })
        expect(yield* harness.declare(info, root.appId, oldId)).toMatchObject({ _tag: "Done", created: false })
      })
    )

    it.effect("a foreign node can't be replaced, and nothing is born then", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const [root, other] = [yield* signedRoot(), yield* signedRoot()]
        const appId = randomUUID()
        const answer = yield* harness.declare(childInfo(appId, root.appId, root), root.appId, other.appId)
        expect(answer).toMatchObject({ error: { code: "registration_failed" } })
        expect(yield* sql("select 1 from public.node_status where app_id = $1", [appId])).toEqual([])
        expect((yield* harness.row(other.appId)).status).toBe("connected")
      })
    )
  })
})
