import { randomUUID } from "node:crypto"
import { describe, expect, it } from "vitest"
import { birthOf, hotState, identity, logEntry, statusEntry, statusWrite } from "../rows.ts"
import type { Stage } from "./Stage.ts"

export const appends = (stage: Stage): void => {
  describe("append", () => {
    const { append, bear, logOf, read, run } = stage

    it("moves the row, its columns and its log together (P3)", async () => {
      const node = await bear(birthOf())
      const owner = randomUUID()
      const write = statusWrite(node, 5, {
        hot: hotState({
          status: "running",
          before: "connected",
          owner,
          session: owner,
          epoch: 2,
          lastSeq: 5,
          rebinds: 1
        }),
        deadlineIn: 30_000,
        outcome: { state: "crashed", reason: "connection_drop" },
        rows: [statusEntry(node.appId, 4), statusEntry(node.appId, 5)]
      })
      expect(await append(write)).toEqual([{ _tag: "Committed" }])
      const row = await read(node.appId)
      expect(row).toMatchObject({
        status: "running",
        before: "connected",
        owner,
        session: owner,
        epoch: 2,
        lastSeq: 5,
        rebinds: 1,
        n: 3,
        writeId: write.writeId,
        outcome: { state: "crashed", reason: "connection_drop" }
      })
      expect(row.deadlineAt! - row.readAt).toBeGreaterThan(20_000)
      expect((await logOf(node.appId)).map(({ epoch, kind, n, seq }) => [kind, n, seq, epoch])).toEqual([
        ["connected", 1, null, 1],
        ["status", 2, 4, 2],
        ["status", 3, 5, 2]
      ])
    })

    it("another epoch or another n is missed and stores nothing", async () => {
      const node = await bear(birthOf())
      expect(await append(statusWrite({ ...node, epoch: 7 }, 1))).toEqual([
        { _tag: "Missed", exists: true, epoch: 1, n: 1 }
      ])
      expect(await append(statusWrite({ ...node, n: 9 }, 1))).toEqual([
        { _tag: "Missed", exists: true, epoch: 1, n: 1 }
      ])
      expect(await read(node.appId)).toMatchObject({ n: 1, status: "connected" })
      expect(await logOf(node.appId)).toHaveLength(1)
    })

    it("a node that does not exist is missed as such", async () => {
      const outcome = await append(statusWrite({ appId: randomUUID(), epoch: 1, n: 1 }, 1))
      expect(outcome).toEqual([{ _tag: "Missed", exists: false, epoch: 0, n: 0 }])
    })

    it("a repeated batch is found committed and stores nothing twice (P2)", async () => {
      const nodes = [await bear(birthOf()), await bear(birthOf()), await bear(birthOf())]
      const writes = nodes.map((node) => statusWrite(node, 1))
      const first = await append(...writes)
      expect(await append(...writes)).toEqual(first)
      for (const node of nodes) {
        expect((await read(node.appId)).n).toBe(2)
        expect(await logOf(node.appId)).toHaveLength(2)
      }
    })

    it("outcomes come in the order of the writes, each for itself", async () => {
      const nodes = await Promise.all(Array.from({ length: 9 }, () => bear(birthOf())))
      const writes = nodes.map((node, index) => statusWrite(index % 3 === 1 ? { ...node, n: 44 } : node, 1))
      const outcomes = await append(...writes)
      expect(outcomes.map(({ _tag }) => _tag)).toEqual(
        nodes.map((_, index) => (index % 3 === 1 ? "Missed" : "Committed"))
      )
    })

    it("an empty batch is fine", async () => {
      expect(await append()).toEqual([])
    })

    it("deadline: kept, cleared, set", async () => {
      const node = await bear(birthOf({ deadlineIn: 60_000 }))
      await append(statusWrite(node, 1, { deadlineIn: "keep" }))
      expect((await read(node.appId)).deadlineAt).toBe(node.deadlineAt)
      await append(statusWrite({ ...node, n: 2 }, 2, { deadlineIn: null }))
      expect((await read(node.appId)).deadlineAt).toBeNull()
      await append(statusWrite({ ...node, n: 3 }, 3, { deadlineIn: 1500 }))
      const row = await read(node.appId)
      expect(row.deadlineAt! - row.readAt).toBeGreaterThan(0)
      expect(row.deadlineAt! - row.readAt).toBeLessThanOrEqual(1500)
    })

    it("outcome: kept when absent, cleared by null", async () => {
      const node = await bear(birthOf({ outcome: { state: "crashed", reason: "connection_drop" } }))
      await append(statusWrite(node, 1))
      expect((await read(node.appId)).outcome).toEqual({ state: "crashed", reason: "connection_drop" })
      await append(statusWrite({ ...node, n: 2 }, 2, { outcome: null }))
      expect((await read(node.appId)).outcome).toBeNull()
    })

    it("a registration binds a key and ends the one before", async () => {
      const node = await bear(birthOf())
      await append(
        statusWrite(node, 0, {
          hot: hotState({ incarnation: 2, epoch: 2, rebinds: 1 }),
          identity: identity({ incarnation: 2, pubKey: "ed25519:key-2" }),
          rows: [logEntry({ kind: "rebound", incarnation: 2 })]
        })
      )
      expect(await read(node.appId)).toMatchObject({ pubKey: "ed25519:key-2", incarnation: 2, rebinds: 1 })
      const keys = await run(stage.store.keys(node.appId))
      expect(keys.map(({ pubKey }) => pubKey)).toEqual(["ed25519:key-1", "ed25519:key-2"])
      expect(keys[0]!.to).toBe(keys[1]!.from)
      expect(keys[1]!.to).toBeNull()
    })

    it("a missed registration binds nothing", async () => {
      const node = await bear(birthOf())
      await append(
        statusWrite({ ...node, epoch: 5 }, 0, { identity: identity({ incarnation: 2, pubKey: "ed25519:evil" }) })
      )
      expect((await run(stage.store.keys(node.appId))).map(({ pubKey }) => pubKey)).toEqual(["ed25519:key-1"])
    })
  })
}
