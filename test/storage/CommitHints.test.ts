import { type Effect, Layer, ManagedRuntime } from "effect"
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest"
import * as CommitHintsLayer from "../../src/storage/CommitHints.ts"
import { CommitHints } from "../../src/storage/CommitHints.ts"
import * as MemoryNodeStore from "../../src/storage/MemoryNodeStore.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { birthOf, bornRow, requestOf, statusWrite } from "./rows.ts"

const runtime = ManagedRuntime.make(
  CommitHintsLayer.layer.pipe(Layer.provide(MemoryNodeStore.layer), Layer.provide(MemoryTables.layer))
)
afterAll(() => runtime.dispose())

describe("hints of commits", () => {
  let told: Array<ReadonlyArray<string>>
  let statuses: Array<string>
  let stop: () => void
  let store: NodeStore["Service"]
  let hints: CommitHints["Service"]
  beforeEach(async () => {
    told = []
    store = await runtime.runPromise(NodeStore)
    hints = await runtime.runPromise(CommitHints)
    statuses = []
    stop = hints.listen((path, status) => {
      told.push(path)
      statuses.push(status)
    })
  })
  afterEach(() => stop())
  const run = <A, E>(effect: Effect.Effect<A, E>) => runtime.runPromise(effect)
  const bear = async (parentId: string | null) => bornRow(await run(store.birth(requestOf(birthOf(), { parentId }))))

  it("a birth and a committed write tell the node's path; a missed write and a refused birth tell nothing", async () => {
    const root = await bear(null)
    const child = await bear(root.appId)
    expect(told).toEqual([[root.appId], [root.appId, child.appId]])
    await run(store.append(0, [statusWrite(child, 1), statusWrite({ ...root, n: 9 }, 1)]))
    expect(told.slice(2)).toEqual([[root.appId, child.appId]])
    expect(statuses).toEqual(["connected", "connected", "running"])
    await run(store.birth({ ...requestOf(birthOf()), decide: () => ({ _tag: "Refuse", refusal: "no" as never }) }))
    expect(told).toHaveLength(3)
  })

  it("an answer to a command is told as one", async () => {
    const answers: Array<boolean> = []
    const off = hints.listen((_path, _status, isAnswer) => void answers.push(isAnswer))
    let node = await bear(null)
    const correlationId = node.appId
    for (const commands of [
      [],
      [{ _tag: "Told", correlationId }],
      [{ _tag: "Answered", correlationId, answer: { ack: true, result: null } }]
    ] as const) {
      const write = statusWrite(node, node.n, { commands })
      await run(store.append(0, [write]))
      node = { ...node, n: node.n + write.rows.length }
    }
    off()
    expect(answers).toEqual([false, false, false, true])
  })

  it("a birth that is found existing tells too: it may be one's own whose answer was lost", async () => {
    const request = requestOf(birthOf())
    await run(store.birth(request))
    await run(store.birth(request))
    expect(told).toEqual([[request.appId], [request.appId]])
  })

  it("each of several listeners is told until it stops", async () => {
    let other = 0
    const stopOther = hints.listen(() => void other++)
    await bear(null)
    stopOther()
    await bear(null)
    expect([other, told.length]).toEqual([1, 2])
  })

  it("nobody listens any more: nothing is told", async () => {
    stop()
    const root = await bear(null)
    await run(store.append(0, [statusWrite(root, 1)]))
    expect(told).toEqual([])
  })
})
