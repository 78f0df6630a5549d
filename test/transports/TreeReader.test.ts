import { Effect, Layer, ManagedRuntime } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import * as MemoryNodeStore from "../../src/storage/MemoryNodeStore.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import * as MemoryTreeLog from "../../src/storage/MemoryTreeLog.ts"
import type { NodeRow } from "../../src/storage/NodeRow.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { TreeLog } from "../../src/storage/TreeLog.ts"
import { parseTreeCursor, type TreeCursor, treeCursorText } from "../../src/transports/TreeCursor.ts"
import { readTree } from "../../src/transports/TreeReader.ts"
import { birthOf, bornRow, requestOf, statusEntry, statusWrite } from "../storage/rows.ts"

const START: TreeCursor = { id: 0, n: 0 }

describe("readTree", () => {
  let store: NodeStore["Service"]
  let log: TreeLog["Service"]
  let top: NodeRow
  let child: NodeRow
  const runtime = () =>
    ManagedRuntime.make(
      Layer.mergeAll(MemoryNodeStore.layer, MemoryTreeLog.layer).pipe(Layer.provideMerge(MemoryTables.layer))
    )
  let running: ReturnType<typeof runtime>
  beforeEach(async () => {
    running = runtime()
    store = await running.runPromise(NodeStore)
    log = await running.runPromise(TreeLog)
    top = await bear(null)
    child = await bear(top.appId)
  })
  afterEach(() => running.dispose())

  const bear = async (parentId: string | null) =>
    bornRow(await Effect.runPromise(store.birth(requestOf(birthOf(), { parentId }))))
  const report = (node: NodeRow) =>
    Effect.map(store.append(0, [statusWrite(node, node.n, { rows: [statusEntry(node.appId, node.n)] })]), () => {
      const next = { ...node, n: node.n + 1 }
      if (node.appId === top.appId) top = next
      else child = next
    })
  const read = (after: TreeCursor, limit = 100, from = log) =>
    Effect.runPromise(readTree(from, { appId: top.appId, scope: "subtree", own: true, kinds: null }, after, limit))
  /** Page by page to the end; each row as `t1`, `c2`. */
  const readAll = async (after: TreeCursor, limit: number, from = log) => {
    const seen: Array<string> = []
    let cursor = after
    for (;;) {
      const { more, next, rows } = await read(cursor, limit, from)
      seen.push(...rows.map(({ row }) => `${row.appId === top.appId ? "t" : "c"}${row.n}`))
      cursor = next
      if (!more) return { seen, cursor }
    }
  }

  it("a page holds no more than its limit, and whoever goes on behind any row misses and repeats nothing", async () => {
    for (let i = 0; i < 4; i++) {
      await Effect.runPromise(report(top))
      await Effect.runPromise(report(child))
    }
    const whole = ["t1", "c1", "t2", "c2", "t3", "c3", "t4", "c4", "t5", "c5"]
    for (const limit of [1, 2, 3, 100]) {
      const { rows } = await read(START, limit)
      expect(rows).toHaveLength(Math.min(limit, whole.length))
      expect((await readAll(START, limit)).seen).toEqual(whole)
    }
    for (const [index, { cursor }] of (await read(START)).rows.entries()) {
      expect((await readAll(cursor, 2)).seen).toEqual(whole.slice(index + 1))
    }
  })

  it("a cursor of the log's alone gives nothing twice of the node's own", async () => {
    for (let i = 0; i < 5; i++) await Effect.runPromise(report(top))
    const { seen } = await readAll({ id: 4, n: 0 }, 2)
    expect(seen).toEqual(["t4", "t5", "t6"])
  })

  it("what is committed between the two reads of a page, at the node and then below it, is not lost", async () => {
    let late = true
    const busy = TreeLog.of({
      ...log,
      own: (...args) =>
        Effect.tap(log.own(...args), () => {
          if (!late) return Effect.void
          late = false
          return Effect.andThen(report(top), report(child))
        })
    })
    expect((await readAll(START, 100, busy)).seen).toEqual(["t1", "c1", "t2", "c2"])
  })

  it("a cursor's text is read as what was written; what is none is refused", () => {
    for (const cursor of [START, { id: 7, n: 0 }, { id: 7, n: 3 }]) {
      expect(parseTreeCursor(treeCursorText(cursor))).toEqual(cursor)
    }
    for (const text of ["", "x", "-1", "1-", "1-x", "01", "1.5", "99999999999999999", "1 "]) {
      expect(parseTreeCursor(text)).toBeNull()
    }
  })
})
