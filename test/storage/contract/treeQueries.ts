import { randomUUID } from "node:crypto"
import { describe, expect, it } from "vitest"
import { TREE_PAYLOAD } from "../../../src/storage/TreeQueries.ts"
import { birthOf, hotState, identity, logEntry, statusEntry, statusWrite } from "../rows.ts"
import type { Stage } from "./Stage.ts"

/** `TreeQueries`: whole trees, and what is asked while somebody waits. */
export const treeQueries = (stage: Stage): void => {
  describe("trees and those who wait for them", () => {
    const { append, bear, run } = stage
    const child = (parentId: string | null, appName: string) => bear(birthOf({ appName }), { parentId })
    const tree = async (appId: string, depth = 64, limit = 1000) => {
      const view = await run(stage.queries.tree(appId, { depth, limit }))
      if (view === null) throw new Error(`no tree ${appId}`)
      return view
    }
    const shape = async (...args: Parameters<typeof tree>) =>
      (await tree(...args)).nodes.map(({ appName, depth }) => `${depth} ${appName}`)
    /** a ─ (b ─ (c, d ─ e), f, g ─ h); born in another order than they are shown in. */
    const family = async () => {
      const a = await child(null, "a")
      const b = await child(a.appId, "b")
      const f = await child(a.appId, "f")
      const g = await child(a.appId, "g")
      const h = await child(g.appId, "h")
      const c = await child(b.appId, "c")
      const d = await child(b.appId, "d")
      const e = await child(d.appId, "e")
      return { a, b, c, d, e, f, g, h }
    }

    it("parents come before their children, siblings by birth, with their depth", async () => {
      const { a, b, c } = await family()
      expect(await shape(a.appId)).toEqual(["0 a", "1 b", "2 c", "2 d", "3 e", "1 f", "1 g", "2 h"])
      expect(await shape(b.appId)).toEqual(["0 b", "1 c", "1 d", "2 e"])
      expect(await shape(c.appId)).toEqual(["0 c"])
      expect(await run(stage.queries.tree(randomUUID(), { depth: 64, limit: 1 }))).toBeNull()
    })

    it("siblings are by birth and not by id", async () => {
      const root = await child(null, "root")
      const names = Array.from({ length: 8 }, (_, index) => `child ${index}`)
      for (const name of names) await child(root.appId, name)
      expect((await tree(root.appId)).nodes.slice(1).map(({ appName }) => appName)).toEqual(names)
    })

    it("depth and limit cut it, and then it says how many there are at that depth", async () => {
      const { a, b } = await family()
      expect(await shape(a.appId, 0)).toEqual(["0 a"])
      expect(await shape(a.appId, 1)).toEqual(["0 a", "1 b", "1 f", "1 g"])
      expect(await shape(a.appId, 64, 3)).toEqual(["0 a", "1 b", "2 c"])
      const total = async (...args: Parameters<typeof tree>) => (await tree(...args)).total
      expect(await total(a.appId, 64, 8)).toBeNull()
      expect(await total(a.appId, 64, 7)).toBe(8)
      expect(await total(a.appId, 1, 3)).toBe(4)
      expect(await total(a.appId, 1, 4)).toBeNull()
      expect(await total(b.appId, 64, 1)).toBe(4)
    })

    it("a node is shown with its place, process, times and payloads to the digit", async () => {
      const root = await child(null, "root")
      const node = await bear(
        birthOf({
          appName: "leaf",
          deadlineIn: 60_000,
          hot: hotState({ session: randomUUID() }),
          identity: identity({ processInfo: { ...identity().processInfo, node_name: "k-7" } })
        }),
        { parentId: root.appId }
      )
      const snapshot = '{"big":12345678901234567890,"x":1.10}'
      await append(
        statusWrite(node, 1, {
          snapshot: { seq: 1, payload: snapshot },
          deadlineIn: "keep",
          rows: [statusEntry(node.appId, 1, snapshot)]
        })
      )
      const [, shown] = (await tree(root.appId)).nodes
      expect(shown).toEqual({
        appId: node.appId,
        parentId: root.appId,
        depth: 1,
        appName: "leaf",
        namespace: "etl",
        level: "open",
        tags: { device_type: "gas_detector" },
        status: "running",
        snapshot: { text: snapshot, bytes: snapshot.length },
        outcome: null,
        payload: null,
        createdAt: expect.any(Number),
        startedAt: expect.any(Number),
        connectedAt: expect.any(Number),
        disconnectedAt: expect.any(Number),
        endedAt: null,
        deadlineAt: expect.any(Number),
        hostname: "pod-1",
        nodeName: "k-7",
        pid: 7,
        executable: "/bin/x"
      })
      expect(shown!.deadlineAt! - shown!.createdAt).toBeGreaterThan(50_000)
    })

    it("an end is told with its payload, its reason and its time, which later evidence does not move", async () => {
      const node = await child(null, "node")
      const payload = '{"rows":18446744073709551615}'
      const outcome = { state: "done", reason: "completed", payload } as const
      const done = { hot: hotState({ status: "done" }), outcome, rows: [logEntry({ kind: "result", payload })] }
      await append(statusWrite(node, 1, done))
      const standing = await run(stage.queries.standing(node.appId))
      expect(standing).toEqual({
        appId: node.appId,
        appName: "node",
        status: "done",
        n: 2,
        endedAt: expect.any(Number),
        outcome,
        snapshot: '{"at":1}'
      })
      const late = { hot: hotState({ status: "done" }), rows: [logEntry({ kind: "refused" })] }
      await append(statusWrite({ ...node, n: 2 }, 2, late))
      expect((await tree(node.appId)).nodes[0]).toMatchObject({
        outcome: { state: "done", reason: "completed" },
        payload: { text: payload, bytes: payload.length },
        endedAt: standing!.endedAt
      })
    })

    it("proof of life takes a verdict's time back, and a node may be born ended", async () => {
      const node = await child(null, "node")
      const endedAt = async ({ appId }: { readonly appId: string }) =>
        (await run(stage.queries.standing(appId)))!.endedAt
      await append(statusWrite(node, 1, { hot: hotState({ status: "crashed" }) }))
      expect(await endedAt(node)).toBeGreaterThan(0)
      await append(statusWrite({ ...node, n: 2 }, 2))
      expect(await endedAt(node)).toBeNull()
      expect(await endedAt(await bear(birthOf({ hot: hotState({ status: "cancelled" }) })))).toBeGreaterThan(0)
    })

    it("a large payload is left out of a tree, not out of the node's own standing", async () => {
      const node = await child(null, "node")
      const large = JSON.stringify("é".repeat(TREE_PAYLOAD / 2))
      await append(statusWrite(node, 1, { snapshot: { seq: 1, payload: large } }))
      const [shown] = (await tree(node.appId)).nodes
      expect(shown!.snapshot).toEqual({ text: null, bytes: TREE_PAYLOAD + 2 })
      expect((await run(stage.queries.standing(node.appId)))!.snapshot).toBe(large)
    })

    it("payloads are left out after the first 8 MiB", async () => {
      const root = await child(null, "root")
      const snapshot = JSON.stringify("x".repeat(60 * 1024))
      const many = 150
      for (let i = 0; i < many; i++) {
        const node = await child(root.appId, "node")
        await append(statusWrite(node, 1, { snapshot: { seq: 1, payload: snapshot } }))
      }
      const texts = (await tree(root.appId)).nodes.slice(1).map((node) => node.snapshot!)
      expect(texts.map(({ bytes }) => bytes)).toEqual(Array.from({ length: many }, () => snapshot.length))
      const fit = Math.floor((8 * 1024 * 1024) / snapshot.length)
      expect(texts.map(({ text }) => text === snapshot)).toEqual(texts.map((_, index) => index < fit))
    })

    it("moved: status and counter of those that exist", async () => {
      const node = await child(null, "node")
      await append(statusWrite(node, 1))
      const found = await run(stage.queries.moved([node.appId, randomUUID()]))
      expect([...found]).toEqual([[node.appId, expect.objectContaining({ n: 2, status: "running" })]])
      expect(await run(stage.queries.moved([]))).toEqual(new Map())
      expect(await run(stage.queries.standing(randomUUID()))).toBeNull()
    })

    it("stirredSince: what happens at or below a node after a tree's cursor, and nothing else", async () => {
      const { a, b, e, g } = await family()
      const { cursor } = await tree(a.appId)
      const look = (appId: string, after = cursor) => run(stage.queries.stirredSince(appId, after))
      const stirred = async (appId: string, after = cursor) => (await look(appId, after))?.stirred
      const all = () => Promise.all([a, b, e, g].map(({ appId }) => stirred(appId)))
      expect(await all()).toEqual([false, false, false, false])
      await append(statusWrite(e, 1))
      expect(await all()).toEqual([true, true, true, false])
      expect(await stirred(a.appId, (await tree(a.appId)).cursor)).toBe(false)
      const { drawn, newest } = await run(stage.tree.head)
      expect(await look(e.appId)).toEqual({ stirred: true, foreign: false, n: 2, newest })
      expect(await look(a.appId, drawn + 1_000_000)).toMatchObject({ stirred: false, foreign: true })
      expect(await look(randomUUID())).toBeNull()
    })
  })
}
