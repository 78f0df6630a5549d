import { Effect, Layer, ManagedRuntime } from "effect"
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Begun, CascadeStore, type NewCascade } from "../../src/storage/CascadeStore.ts"
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
    stop = hints.listen({
      onCommit: (path, status) => {
        told.push(path)
        statuses.push(status)
      }
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
    const off = hints.listen({ onCommit: (_path, _status, isAnswer) => void answers.push(isAnswer) })
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
    const stopOther = hints.listen({ onCommit: () => void other++ })
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

describe("commits of cascades", () => {
  const begun = (isNew: boolean): Begun => ({ _tag: "Begun", id: "a", isNew, plan: null })
  const node = { appId: "a", owner: null, epoch: 1 }

  const unnamedOf = (store: Partial<CascadeStore["Service"]>, step: Effect.Effect<unknown, unknown, CascadeStore>) =>
    Effect.runPromise(
      Effect.gen(function* () {
        let told = 0
        const hints = yield* CommitHints
        hints.listen({ onCommit: () => {}, onUnnamed: () => void told++ })
        // Of this replica only: others are told by it.
        hints.listen({ onCommit: () => {}, onForeign: () => void (told += 100) })
        yield* step
        return told
      }).pipe(
        Effect.provide(
          CommitHintsLayer.cascadeLayer.pipe(
            Layer.provideMerge(CommitHintsLayer.layer),
            Layer.provide(Layer.mergeAll(Layer.mock(CascadeStore)(store), MemoryNodeStore.layer)),
            Layer.provide(MemoryTables.layer)
          )
        )
      )
    )

  it.each([
    { what: "a new operation", begins: begun(true), told: 1 },
    { what: "one that is there already", begins: begun(false), told: 0 },
    { what: "one that could not begin", begins: { _tag: "Full" } as const, told: 0 },
    { what: "one of an unknown node", begins: null, told: 0 }
  ])("$what tells $told times", async ({ begins, told }) => {
    const step = Effect.flatMap(CascadeStore, (store) => store.begin({} as NewCascade))
    expect(await unnamedOf({ begin: () => Effect.succeed(begins) }, step)).toBe(told)
  })

  it.each([
    { what: "that forces nodes", forced: [node, node], told: 1 },
    { what: "that only asks", forced: [], told: 0 }
  ])("a step $what tells $told times", async ({ forced, told }) => {
    const round = { asked: [node], forced, isFinished: false }
    const step = Effect.flatMap(CascadeStore, (store) => store.advance("a"))
    expect(await unnamedOf({ advance: () => Effect.succeed(round) }, step)).toBe(told)
  })
})
