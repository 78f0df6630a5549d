import { randomUUID } from "node:crypto"
import { describe, expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { childInfo, Harness, keypair, layer as harnessLayer, SERVER } from "./ActorHarness.ts"
import { FakeSession } from "./FakeSession.ts"
import { code, signedRoot, sql } from "./registering.ts"

layer(harnessLayer(), { excludeTestServices: true })("registration (PROTOCOL §4, §5)", (it) => {
  describe("births", () => {
    it.effect("an open root is born connected, with the registered frame in its connected row", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const appId = randomUUID()
        const { admission, session } = yield* harness.register({ appId })
        expect(admission).toMatchObject({ _tag: "Accepted", epoch: 1, incarnation: 1, only: null, level: "open" })
        expect(yield* harness.row(appId)).toMatchObject({
          status: "connected",
          owner: harness.boot,
          session: session.id,
          epoch: 1,
          n: 1
        })
        const [first] = yield* harness.log(appId)
        expect(first).toMatchObject({ kind: "connected", n: 1, frame: JSON.stringify(session.find("registered")) })
      })
    )

    it.effect("a child that comes before its parent is refused as retryable, never as ticket_invalid", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const [parentId, appId] = [randomUUID(), randomUUID()]
        const info = childInfo(appId, parentId, keypair(parentId))
        const result = yield* harness.register({ appId, parentId, info, verified: true })
        expect(result.admission).toMatchObject({
          error: { code: "registration_failed", retryable: true, retry_after_ms: 500 }
        })
      })
    )

    it.effect("a child with its parent's ticket is admitted without a round trip by the parent", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root)
        const result = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        expect(code(result)).toBe("accepted")
        expect(result.session.find("registered")?.ticket_hash).toBe((yield* harness.row(appId)).ticketHash)
        expect((yield* harness.row(appId)).path).toEqual([root.appId, appId])
      })
    )

    it.effect.each(["forged", "foreign", "for another node", "none"] as const)(
      "a child above open with a ticket that is %s → ticket_invalid",
      (kind) =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* signedRoot()
          const appId = randomUUID()
          const issuer =
            kind === "none" ? null : kind === "forged" ? keypair("thief") : kind === "foreign" ? SERVER : root
          const info = childInfo(kind === "for another node" ? randomUUID() : appId, root.appId, issuer)
          const result = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
          expect(code(result)).toBe("!ticket_invalid")
        })
    )

    it.effect("a child is never weaker than its parent", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root, { secLevel: "open" })
        expect(code(yield* harness.register({ appId, parentId: root.appId, info }))).toBe("!level_too_weak")
      })
    )

    it.effect("an envelope above open with an unsigned frame → level_too_weak", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const appId = randomUUID()
        expect(code(yield* harness.register({ appId, info: childInfo(appId, null, SERVER) }))).toBe("!level_too_weak")
      })
    )

    it.effect("the originator is the parent's, whatever the child says; role refs are narrowed, never widened", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const rootId = randomUUID()
        const info = childInfo(rootId, null, SERVER, {
          originator: { sub: "ada", groups: ["ops"] },
          roleRefs: ["a", "b"]
        })
        yield* harness.register({ appId: rootId, verified: true, info })
        const appId = randomUUID()
        const child = childInfo(appId, rootId, keypair(rootId), {
          originator: { sub: "eve", groups: [] },
          roleRefs: ["b", "c"]
        })
        yield* harness.register({ appId, parentId: rootId, verified: true, info: child })
        expect(yield* harness.row(appId)).toMatchObject({
          originator: { sub: "ada", groups: ["ops"] },
          roleRefs: ["b"]
        })
      })
    )

    it.effect("a key that the envelope does not name → key_mismatch", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root, { childKey: keypair("named").key })
        const thief = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        expect(code(thief)).toBe("!key_mismatch")
        const named = yield* harness.register({
          appId,
          parentId: root.appId,
          info,
          verified: true,
          key: keypair("named").key
        })
        expect(code(named)).toBe("accepted")
      })
    )
  })

  describe("levels that are only names", () => {
    it.effect.each(["encrypted", "full"] as const)(
      "a node of level %s is refused: this version can't keep it",
      (secLevel) =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const appId = randomUUID()
          const info = childInfo(appId, null, SERVER, { secLevel })
          expect(code(yield* harness.register({ appId, info, verified: true }))).toBe("!level_too_weak")
          expect(yield* harness.declare(info, null)).toMatchObject({ error: { code: "level_too_weak" } })
        })
    )

    it.effect("a connection for signed nodes only admits no open one, however its frame is signed", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const appId = randomUUID()
        expect(code(yield* harness.register({ appId, verified: true, floor: "signed" }))).toBe("!level_too_weak")
      })
    )
  })

  describe("depth", () => {
    it.effect("the 65th level is refused for good", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        let parentId: string | null = null
        for (let depth = 1; depth <= 64; depth++) {
          const appId: string = randomUUID()
          expect(code(yield* harness.register({ appId, parentId }))).toBe("accepted")
          parentId = appId
        }
        const deepest = yield* harness.register({ appId: randomUUID(), parentId })
        expect(deepest.admission).toMatchObject({ error: { code: "registration_failed", retryable: false } })
      })
    )
  })

  describe("refused is not stopped", () => {
    it.effect("a ticket after its deadline → start_failed, and a session that only tells it to stop", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root, { scheduledAt: Date.now() - 10_000, startDeadline: 5 })
        const { admission, session } = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        expect(admission).toMatchObject({ _tag: "Accepted", only: "cancel" })
        expect(session.find("registered")?.only).toBe("cancel")
        const control = session.find("control")!
        expect(control).toMatchObject({
          action: "cancel",
          session: session.id,
          epoch: 1,
          incarnation: 1,
          payload: { reason: "never_started" }
        })
        yield* harness.say(session, appId, 1)
        expect(session.errors()).toEqual(["1!terminal"])
        yield* harness.answer(session, appId, control.correlation_id, true)
        yield* harness.disconnect(session, appId, 2, "cancelled")
        expect(session.acks()).toEqual([2])
        expect(session.ended).toBeNull()
        expect(yield* harness.row(appId)).toMatchObject({ status: "start_failed", outcome: { lateStart: true } })
        const log = yield* harness.log(appId)
        expect(log.map((row) => row.kind)).toEqual(["start_failed", "control", "control", "control"])
        expect(log[2]?.data).toMatchObject({ outcome: "acked", late_start: true })
      })
    )

    it.effect("a birth below a seal is born cancelled and told to stop", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        yield* sql("insert into public.seals (app_id, operation) values ($1, $2)", [root.appId, randomUUID()])
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root)
        const result = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        expect(result.admission).toMatchObject({ only: "cancel" })
        expect(yield* harness.row(appId)).toMatchObject({ status: "cancelled", outcome: { reason: "parent_sealed" } })
        expect(yield* harness.declare(childInfo(randomUUID(), root.appId, root), root.appId)).toMatchObject({
          error: { code: "parent_sealed" }
        })
      })
    )

    it.effect.each([
      ["cancel", "cancelled", "cancel"],
      ["abandon", "connected", null]
    ] as const)("a birth under a parent that has ended, onParentExit %s → %s", ([onParentExit, status, only]) =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        yield* harness.say(root.session, root.appId, 1, "Result")
        const appId = randomUUID()
        const info = childInfo(appId, root.appId, root, { supervision: { onParentExit } })
        const result = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
        expect(result.admission).toMatchObject({ only })
        expect((yield* harness.row(appId)).status).toBe(status)
      })
    )
  })

  describe("a registration whose client has gone meanwhile", () => {
    const gone = () => Object.assign(new FakeSession(), { isGone: true })

    it.effect.each(["register", "reRegister"] as const)(
      "%s takes nothing from the session that the node has by then",
      (which) =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* signedRoot()
          const late = yield* harness[which]({ appId: root.appId, verified: true, session: gone() })
          expect(code(late)).toBe("!unavailable")
          expect(root.session.ended).toBeUndefined()
          expect(yield* harness.row(root.appId)).toMatchObject({ session: root.session.id, epoch: 1 })
          yield* harness.say(root.session, root.appId, 1)
          expect(root.session.acks()).toEqual([1])
        })
    )

    it.effect("is heard where the node has none: what it says behind it is stored", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        yield* harness.lose(root.session, root.appId, "peer")
        const late = yield* harness.reRegister({ appId: root.appId, verified: true, session: gone() })
        expect(code(late)).toBe("accepted")
        const appId = randomUUID()
        expect(code(yield* harness.register({ appId, session: gone() }))).toBe("accepted")
      })
    )
  })

  describe("keys (P10)", () => {
    it.effect("a device that rebooted: same key, no ticket → incarnation + 1, seqs begin anew", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        yield* harness.say(root.session, root.appId, 7)
        const { admission, session } = yield* harness.register({ appId: root.appId, verified: true })
        expect(admission).toMatchObject({ epoch: 2, incarnation: 2 })
        expect(session.find("registered")).toMatchObject({ last_seq: 0 })
        expect(root.session.ended).toMatchObject({ code: "replaced", retryable: false })
        yield* harness.say(session, root.appId, 1)
        expect(session.acks()).toEqual([1])
        expect((yield* harness.row(root.appId)).status).toBe("running")
      })
    )

    it.effect(
      "a container that restarted: new key and the ticket, within its restarts → rebound; then key_mismatch and impostor",
      () =>
        Effect.gen(function* () {
          const harness = yield* Harness
          const root = yield* signedRoot()
          const appId = randomUUID()
          const info = childInfo(appId, root.appId, root, { supervision: { restarts: 1 } })
          const first = yield* harness.register({ appId, parentId: root.appId, info, verified: true })
          const early = yield* harness.register({
            appId,
            parentId: root.appId,
            info,
            verified: true,
            key: keypair("second").key
          })
          expect(code(early)).toBe("!key_mismatch")
          yield* harness.lose(first.session, appId, "peer")
          const second = yield* harness.register({
            appId,
            parentId: root.appId,
            info,
            verified: true,
            key: keypair("second").key
          })
          expect(second.admission).toMatchObject({ _tag: "Accepted", incarnation: 2 })
          yield* harness.lose(second.session, appId, "peer")
          const third = yield* harness.register({
            appId,
            parentId: root.appId,
            info,
            verified: true,
            key: keypair("third").key
          })
          expect(code(third)).toBe("!key_mismatch")
          expect(yield* harness.kinds(appId)).toEqual([
            "connected",
            "impostor",
            "reconnecting",
            "rebound",
            "reconnecting"
          ])
          expect(yield* harness.row(appId)).toMatchObject({ rebinds: 1, pubKey: keypair("second").key })
          const audit = yield* sql("select action, decision from public.audit_log where app_id = $1 order by id", [
            appId
          ])
          expect(audit).toEqual([
            { action: "register", decision: "deny" },
            { action: "rebind", decision: "allow" }
          ])
        })
    )

    it.effect("one impostor event per node in ten seconds, however often it knocks", () =>
      Effect.gen(function* () {
        const harness = yield* Harness
        const root = yield* signedRoot()
        for (let i = 0; i < 20; i++) {
          const result = yield* harness.register({ appId: root.appId, verified: true, key: keypair(`thief ${i}`).key })
          expect(code(result)).toBe("!key_mismatch")
        }
        expect(yield* harness.kinds(root.appId)).toEqual(["connected", "impostor"])
        expect(root.session.ended).toBeUndefined()
      })
    )
  })
})
