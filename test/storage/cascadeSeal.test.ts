import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { CascadeStore } from "../../src/storage/CascadeStore.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, cancelOf, requestOf } from "./rows.ts"

const ROUNDS = 20
/** Births at once. */
const BIRTHS = 16

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))

let nodes: NodeStore["Service"]
let cascades: CascadeStore["Service"]

beforeAll(async () => {
  nodes = await storage.runPromise(NodeStore)
  cascades = await storage.runPromise(CascadeStore)
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it("a birth at the same moment is in the plan, or is refused: nobody slips through between plan and seal", async () => {
  let born = 0
  let refused = 0
  for (let round = 0; round < ROUNDS; round++) {
    const root = randomUUID()
    await storage.runPromise(nodes.birth(requestOf(birthOf(), { appId: root })))
    const births = Array.from({ length: BIRTHS }, () =>
      nodes.birth({
        ...requestOf(birthOf(), { parentId: root }),
        decide: ({ sealedBy }) =>
          sealedBy === null ? { _tag: "Bear", birth: birthOf() } : { _tag: "Refuse", refusal: "sealed" }
      })
    )
    const id = randomUUID()
    const begin = cascades.begin(cancelOf(id, root))
    // In the middle of them, each time elsewhere.
    const all = births.toSpliced(round % BIRTHS, 0, begin as never)
    const outcomes = await storage.runPromise(Effect.all(all, { concurrency: "unbounded" }))
    const ids = outcomes.flatMap((outcome) => (outcome._tag === "Born" ? [outcome.row.appId] : []))
    const planned = await storage.runPromise(cascades.nodes(id, null, null, 1000))
    expect(new Set(planned.map(({ appId }) => appId))).toEqual(new Set([root, ...ids]))
    born += ids.length
    refused += BIRTHS - ids.length
  }
  // Else they were not at the same moment.
  expect([born, refused].every((count) => count > ROUNDS)).toBe(true)
})

it("several runners at the same moment ask everybody once, level by level", async () => {
  const root = randomUUID()
  await storage.runPromise(nodes.birth(requestOf(birthOf(), { appId: root })))
  const children = Array.from({ length: 200 }, () => randomUUID())
  for (const appId of children) await storage.runPromise(nodes.birth(requestOf(birthOf(), { appId, parentId: root })))
  const id = randomUUID()
  await storage.runPromise(cascades.begin(cancelOf(id, root)))
  const rounds = await storage.runPromise(
    Effect.all(
      Array.from({ length: 6 }, () => cascades.advance(id)),
      { concurrency: "unbounded" }
    )
  )
  const asked = rounds.flatMap((round) => round.asked.map(({ appId }) => appId))
  expect(asked.toSorted()).toEqual(children.toSorted())
  const queued = await sql(storage, `select count(*)::int4 as count from control_queue where operation = '${id}'`)
  expect(queued[0]).toEqual({ count: children.length })
})
