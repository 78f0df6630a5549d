import { describe, expect, it } from "vitest"
import type { TreeScope } from "../../../src/storage/TreeLog.ts"
import { birthOf, logEntry, statusEntry, statusWrite } from "../rows.ts"
import type { Stage } from "./Stage.ts"

/** `TreeLog`: the log below a node. */
export const treeRows = (stage: Stage): void => {
  describe("the log below a node", () => {
    const { append, bear, run } = stage

    const child = (parentId: string | null, appName = "node") => bear(birthOf({ appName }), { parentId })
    const follow = (ancestor: string, scope: TreeScope, after = 0, limit = 100) =>
      run(stage.tree.follow(ancestor, scope, after, limit))
    const seen = async (...args: Parameters<typeof follow>) =>
      (await follow(...args)).rows.map(({ appName, n }) => `${appName} ${n}`)
    /** root ─ mid ─ leaf, root ─ side ─ far, and a tree of its own. */
    const family = async () => {
      const root = await child(null, "root")
      const mid = await child(root.appId, "mid")
      const leaf = await child(mid.appId, "leaf")
      const side = await child(root.appId, "side")
      const far = await child(side.appId, "far")
      const stranger = await child((await child(null, "other")).appId, "stranger")
      for (const node of [leaf, stranger, mid, root, far]) await append(statusWrite(node, 1))
      return { root, mid, leaf, side, far }
    }

    it("children: their rows, not one's own, nor of those below them, nor of others", async () => {
      const { mid, root } = await family()
      expect(await seen(root.appId, "children")).toEqual(["mid 1", "side 1", "mid 2"])
      expect(await seen(mid.appId, "children")).toEqual(["leaf 1", "leaf 2"])
    })

    it("subtree: rows of all descendants, in commit order over all levels", async () => {
      const { leaf, root, side } = await family()
      expect(await seen(root.appId, "subtree")).toEqual([
        "mid 1",
        "leaf 1",
        "side 1",
        "far 1",
        "leaf 2",
        "mid 2",
        "far 2"
      ])
      expect(await seen(side.appId, "subtree")).toEqual(["far 1", "far 2"])
      expect(await seen(leaf.appId, "subtree")).toEqual([])
    })

    it("a row says where its node stands, and what was stored", async () => {
      const { leaf, mid, root } = await family()
      const [, row] = (await follow(mid.appId, "children")).rows
      expect(row).toMatchObject({
        appId: leaf.appId,
        parentId: mid.appId,
        rootId: root.appId,
        path: [root.appId, mid.appId, leaf.appId],
        appName: "leaf",
        namespace: "etl",
        kind: "status",
        n: 2,
        epoch: 1,
        incarnation: 1,
        seq: 1,
        correlationId: null,
        frame: statusEntry(leaf.appId, 1).frame,
        data: null,
        traceparent: null
      })
      expect(row!.createdAt).toBeGreaterThan(0)
    })

    it.for(["children", "subtree"] as const)(
      "%s: goes on after a cursor, page by page, and says when it is the end",
      async (scope) => {
        const parent = await child(null)
        const node = await child(parent.appId)
        const rows = Array.from({ length: 4 }, (_, index) => statusEntry(node.appId, index + 1))
        await append(statusWrite(node, 4, { rows }))
        let cursor = 0
        const found: Array<number> = []
        for (;;) {
          const page = await follow(parent.appId, scope, cursor, 2)
          expect(page.rows.length).toBeLessThanOrEqual(2)
          for (const row of page.rows) {
            expect(row.id).toBeGreaterThan(cursor)
            cursor = row.id
            found.push(row.n)
          }
          if (!page.more) break
        }
        expect(found).toEqual([1, 2, 3, 4, 5])
        expect(await follow(parent.appId, scope, cursor)).toEqual({ rows: [], more: false })
      }
    )

    it("evidence of refused messages is no news", async () => {
      const parent = await child(null)
      const node = await child(parent.appId)
      await append(statusWrite(node, 1, { rows: [{ ...statusEntry(node.appId, 1), kind: "refused", seq: null }] }))
      await append(statusWrite({ ...node, n: 2 }, 0, { rows: [logEntry({ kind: "impostor" })] }))
      const { rows } = await follow(parent.appId, "children")
      expect(rows.map(({ kind }) => kind)).toEqual(["connected", "impostor"])
    })

    it("stirred: the ancestors of what came between two ids, at any height, with its last id, and no others", async () => {
      const { leaf, mid, root, side } = await family()
      const { drawn, newest } = await run(stage.tree.head)
      expect(drawn).toBeGreaterThanOrEqual(newest)
      await append(statusWrite({ ...leaf, n: 2 }, 2))
      const after = (await run(stage.tree.head)).newest
      expect(after).toBeGreaterThan(newest)
      const asked = [root, mid, leaf, side].map(({ appId }) => appId)
      const stirred = (from: number, upTo: number) => run(stage.tree.stirred(asked, from, upTo))
      expect(await stirred(newest, after)).toEqual(
        new Map([
          [root.appId, after],
          [mid.appId, after]
        ])
      )
      expect(await stirred(newest, newest)).toEqual(new Map())
      const sides = (await follow(side.appId, "children")).rows
      expect((await stirred(0, newest)).get(side.appId)).toBe(sides.at(-1)!.id)
    })
  })
}
