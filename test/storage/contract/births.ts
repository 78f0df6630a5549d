import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { NodeWrite } from "../../../src/storage/NodeStore.ts"
import { birthOf, hotState, logEntry, requestOf, statusWrite } from "../rows.ts"
import type { Stage } from "./Stage.ts"

export const births = (stage: Stage): void => {
  describe("birth", () => {
    const { bear, logOf, read, run, seal } = stage

    it("a root is its own tree and keeps what it was born with", async () => {
      const owner = randomUUID()
      const row = await bear(
        birthOf({ hot: hotState({ owner, session: owner }), deadlineIn: 60_000, ticketHash: "aGFzaA==" })
      )
      expect(row).toMatchObject({
        parentId: null,
        rootId: row.appId,
        path: [row.appId],
        pathVersion: 1,
        appName: "worker",
        namespace: "etl",
        level: "open",
        originator: { sub: "ada", groups: ["ops"] },
        roleRefs: ["reader"],
        grants: [],
        tags: { device_type: "gas_detector" },
        supervision: { onParentExit: "abandon", onCrash: "notify", restarts: 2 },
        childKey: null,
        ticketHash: "aGFzaA==",
        status: "connected",
        before: null,
        owner,
        session: owner,
        epoch: 1,
        incarnation: 1,
        lastSeq: 0,
        rebinds: 0,
        n: 1,
        pubKey: "ed25519:key-1",
        outcome: null
      })
      expect(row.deadlineAt! - row.readAt).toBeGreaterThan(50_000)
      expect(row.deadlineAt! - row.readAt).toBeLessThanOrEqual(60_000)
      expect(await read(row.appId)).toEqual({ ...row, readAt: expect.any(Number) })
      expect((await logOf(row.appId)).map(({ kind, n }) => [kind, n])).toEqual([["connected", 1]])
    })

    it("a child takes place, namespace and originator from its parent, whatever its envelope says", async () => {
      const parent = await bear(birthOf())
      const child = await bear(birthOf({ namespace: "other", originator: { sub: "eve" } }), { parentId: parent.appId })
      expect(child).toMatchObject({
        parentId: parent.appId,
        rootId: parent.appId,
        path: [parent.appId, child.appId],
        namespace: "etl",
        originator: { sub: "ada", groups: ["ops"] }
      })
    })

    it("the decision sees the parent's row and the node that is to be replaced", async () => {
      const parent = await bear(birthOf())
      const old = await bear(birthOf(), { parentId: parent.appId })
      const seen: Array<unknown> = []
      await bear(
        (facts) => {
          seen.push(facts.parent?.appId, facts.parent?.status, facts.replaced?.appId, facts.existing, facts.sealedBy)
          return birthOf()
        },
        { parentId: parent.appId, replaces: old.appId }
      )
      expect(seen).toEqual([parent.appId, "connected", old.appId, null, null])
    })

    it("an unknown parent is null, and a refusal writes nothing", async () => {
      const request = { ...requestOf(birthOf(), { parentId: randomUUID() }) }
      const outcome = await run(
        stage.store.birth({
          ...request,
          decide: (facts) => ({ _tag: "Refuse" as const, refusal: { parent: facts.parent } })
        })
      )
      expect(outcome).toEqual({ _tag: "Refused", refusal: { parent: null } })
      expect(await run(stage.store.read(request.appId))).toBeNull()
    })

    it("a second birth of the same id is answered with the row of the first, its write id included", async () => {
      const request = requestOf(birthOf())
      expect((await run(stage.store.birth(request)))._tag).toBe("Born")
      const second = await run(stage.store.birth({ ...requestOf(birthOf({ appName: "thief" })), appId: request.appId }))
      expect(second).toMatchObject({ _tag: "Exists", row: { writeId: request.writeId, appName: "worker", n: 1 } })
      expect(await logOf(request.appId)).toHaveLength(1)
    })

    it("of twenty births of one id at once one is born and nineteen find it", async () => {
      const appId = randomUUID()
      const outcomes = await run(
        Effect.all(
          Array.from({ length: 20 }, () => stage.store.birth(requestOf(birthOf(), { appId }))),
          { concurrency: "unbounded" }
        )
      )
      expect(outcomes.filter(({ _tag }) => _tag === "Born")).toHaveLength(1)
      expect(outcomes.filter(({ _tag }) => _tag === "Exists")).toHaveLength(19)
      expect(await logOf(appId)).toHaveLength(1)
    })

    it("an intent has no key yet and no incarnation", async () => {
      const { identity: _none, ...intent } = birthOf({
        hot: hotState({ status: "scheduled", incarnation: 0, epoch: 0 }),
        rows: [logEntry({ kind: "scheduled", incarnation: 0 })]
      })
      const row = await bear(intent)
      expect(row).toMatchObject({ status: "scheduled", pubKey: null, incarnation: 0, epoch: 0 })
      expect(await run(stage.store.keys(row.appId))).toEqual([])
    })

    it("a seal on any ancestor is seen", async () => {
      const root = await bear(birthOf())
      const middle = await bear(birthOf(), { parentId: root.appId })
      const parent = await bear(birthOf(), { parentId: middle.appId })
      await seal(middle.appId)
      let sealedBy: string | null = null
      await bear(
        (facts) => {
          sealedBy = facts.sealedBy
          return birthOf({ hot: hotState({ status: "cancelled" }) })
        },
        { parentId: parent.appId }
      )
      expect(sealedBy).toBe(middle.appId)
    })

    it("a replacement ends the old node in the birth's own transaction", async () => {
      const parent = await bear(birthOf())
      const old = await bear(birthOf(), { parentId: parent.appId })
      const replace = (n: number): NodeWrite => ({
        ...statusWrite({ ...old, n }, 0),
        hot: hotState({ status: "cancelled" }),
        outcome: { state: "cancelled", reason: "superseded" },
        rows: [logEntry({ kind: "cancelled", data: { reason: "superseded" } })]
      })
      const request = requestOf(birthOf(), { parentId: parent.appId, replaces: old.appId })
      const outcome = await run(
        stage.store.birth({
          ...request,
          decide: (facts) => ({ _tag: "Bear", birth: birthOf(), replace: replace(facts.replaced!.n) })
        })
      )
      expect(outcome._tag).toBe("Born")
      expect(await read(old.appId)).toMatchObject({
        status: "cancelled",
        n: 2,
        outcome: { state: "cancelled", reason: "superseded" }
      })
    })

    it("a replacement that does not match bears nothing (P3)", async () => {
      const parent = await bear(birthOf())
      const old = await bear(birthOf(), { parentId: parent.appId })
      const request = requestOf(birthOf(), { parentId: parent.appId, replaces: old.appId })
      const result = await run(
        Effect.result(
          stage.store.birth({
            ...request,
            decide: () => ({ _tag: "Bear", birth: birthOf(), replace: statusWrite({ ...old, n: 99 }, 1) })
          })
        )
      )
      expect(result._tag).toBe("Failure")
      expect(await run(stage.store.read(request.appId))).toBeNull()
      expect((await read(old.appId)).n).toBe(1)
    })

    it("a tree is at most 64 deep", async () => {
      let parent = await bear(birthOf())
      for (let depth = 2; depth <= 64; depth++) parent = await bear(birthOf(), { parentId: parent.appId })
      expect(parent.path).toHaveLength(64)
      const error = await run(Effect.flip(stage.store.birth(requestOf(birthOf(), { parentId: parent.appId }))))
      expect(error.reason).toBe("Refused")
    })
  })
}
