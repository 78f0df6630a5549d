import { randomUUID } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { NodeStore } from "../../../src/storage/NodeStore.ts"
import { birthOf, hotState, statusEntry, statusWrite } from "../rows.ts"
import type { Stage } from "./Stage.ts"

export const readers = (stage: Stage): void => {
  describe("readers", () => {
    const { append, bear, run } = stage

    it("follow goes on after a cursor, in id order, and ends with nothing", async () => {
      const node = await bear(birthOf())
      for (let seq = 1; seq <= 5; seq++) await append(statusWrite({ ...node, n: seq }, seq))
      let cursor = 0
      const seen: Array<number> = []
      for (;;) {
        const rows = await run(stage.store.follow(cursor, 3))
        if (rows.length === 0) break
        expect(rows.length).toBeLessThanOrEqual(3)
        for (const row of rows) {
          expect(row.id).toBeGreaterThan(cursor)
          cursor = row.id
          if (row.appId === node.appId) seen.push(row.n)
        }
      }
      expect(seen).toEqual([1, 2, 3, 4, 5, 6])
    })

    it("stored frames: of this incarnation, of these seqs, and no evidence of refused ones", async () => {
      const node = await bear(birthOf())
      await append(
        statusWrite(node, 3, {
          rows: [
            statusEntry(node.appId, 1),
            statusEntry(node.appId, 3),
            { ...statusEntry(node.appId, 2), seq: null, kind: "refused" },
            { ...statusEntry(node.appId, 5), incarnation: 2 }
          ]
        })
      )
      const frames = await run(stage.store.storedFrames(node.appId, 1, [5, 3, 2, 1, 9]))
      expect(frames.map(({ seq }) => seq)).toEqual([1, 3])
    })

    it("due: passed deadlines, earliest first, by state and by age", async () => {
      const late = await bear(birthOf({ deadlineIn: -60_000 }))
      const later = await bear(birthOf({ deadlineIn: -50_000, hot: hotState({ status: "scheduled" }) }))
      const fresh = await bear(birthOf({ deadlineIn: -1_000 }))
      const coming = await bear(birthOf({ deadlineIn: 60_000 }))
      const ids = new Set([late, later, fresh, coming].map(({ appId }) => appId))
      const due = async (...filter: Parameters<NodeStore["Service"]["due"]> extends [number, ...infer F] ? F : never) =>
        (await run(stage.store.due(1000, ...filter))).map(({ appId }) => appId).filter((id) => ids.has(id))
      expect(await due()).toEqual([late.appId, later.appId, fresh.appId])
      expect(await due({ status: "scheduled" })).toEqual([later.appId])
      expect(await due({ withinMs: 30_000 })).toEqual([fresh.appId])
      expect(await run(stage.store.due(1))).toHaveLength(1)
    })

    it("due: only scheduled nodes while a replica that lives holds verdicts back", async () => {
      const silent = await bear(birthOf({ deadlineIn: -60_000 }))
      const unborn = await bear(birthOf({ deadlineIn: -50_000, hot: hotState({ status: "scheduled" }) }))
      const ids = new Set([silent, unborn].map(({ appId }) => appId))
      const due = async () => (await run(stage.store.due(1000))).map(({ appId }) => appId).filter((id) => ids.has(id))
      const [quiet, crowded, dying] = [randomUUID(), randomUUID(), randomUUID()]
      for (const boot of [quiet, crowded, dying])
        await run(stage.replicas.renew({ boot, instance: "i", version: "0" }, 60_000))
      await run(stage.replicas.holdVerdicts(quiet, -1))
      await run(stage.replicas.holdVerdicts(randomUUID(), 60_000))
      expect(await due()).toEqual([silent.appId, unborn.appId])
      await run(stage.replicas.holdVerdicts(crowded, 60_000))
      await run(stage.replicas.holdVerdicts(dying, 60_000))
      expect(await due()).toEqual([unborn.appId])
      // A later, shorter word takes nothing back.
      await run(stage.replicas.holdVerdicts(crowded, -1))
      await run(stage.replicas.release(dying))
      expect(await due()).toEqual([unborn.appId])
      await run(stage.replicas.release(crowded))
      expect(await due()).toEqual([silent.appId, unborn.appId])
    })

    it("orphaned: nodes whose owner was reaped or is gone, no others", async () => {
      const [living, dying, unknown] = [randomUUID(), randomUUID(), randomUUID()]
      const replica = (boot: string) => ({ boot, instance: "i", version: "0" })
      await run(stage.replicas.renew(replica(living), 60_000))
      await run(stage.replicas.renew(replica(dying), -1))
      const owned = (owner: string, status: "running" | "done" = "running") =>
        bear(birthOf({ hot: hotState({ owner, session: owner, status }) }))
      const nodes = {
        safe: await owned(living),
        lost: await owned(dying),
        gone: await owned(unknown),
        done: await owned(unknown, "done")
      }
      const ids = new Set(Object.values(nodes).map(({ appId }) => appId))
      const orphaned = async () =>
        (await run(stage.store.orphaned(100_000)))
          .map(({ appId }) => appId)
          .filter((id) => ids.has(id))
          .sort()
      expect(await orphaned()).toEqual([nodes.gone.appId])
      expect(await run(stage.replicas.reapExpired(living, Number.MAX_SAFE_INTEGER))).toContain(dying)
      expect(await orphaned()).toEqual([nodes.gone.appId, nodes.lost.appId].sort())
      expect(await run(stage.replicas.renew(replica(dying), 60_000))).toBe(false)
      expect(await run(stage.replicas.renew(replica(living), 60_000))).toBe(true)
    })
  })
}
