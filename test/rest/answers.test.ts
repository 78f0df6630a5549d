import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { NodeWrite } from "../../src/storage/NodeStore.ts"
import type { NodeRow } from "../../src/storage/NodeRow.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { birthOf, bornRow, logEntry, requestOf, statusWrite } from "../storage/rows.ts"
import { commandRow } from "./commandRow.ts"
import { RestFixture } from "./RestFixture.ts"

let rest: RestFixture
let node: NodeRow
beforeEach(async () => {
  rest = await RestFixture.start()
  node = bornRow(await Effect.runPromise(rest.backstage.forest.store.birth(requestOf(birthOf()))))
})
afterEach(() => rest.stop())

const append = async (patch: Partial<NodeWrite> = {}): Promise<void> => {
  const write = statusWrite(node, node.n, patch)
  const [outcome] = await Effect.runPromise(rest.backstage.forest.store.append(0, [write]))
  assert.strictEqual(outcome?._tag, "Committed")
  node = { ...node, n: node.n + write.rows.length }
}

const queue = (): string => {
  const row = commandRow({ appId: node.appId, issuedAt: Date.now(), expiresAt: Date.now() + 300_000 })
  rest.backstage.queue.set(row.correlationId, row)
  return row.correlationId
}

/** The node answers: the commit tells of it. */
const answer = async (ids: ReadonlyArray<string>): Promise<void> => {
  for (const id of ids) {
    const row = rest.backstage.queue.get(id)!
    rest.backstage.queue.set(id, { ...row, state: "answered", ack: true, result: JSON.stringify(id) })
  }
  await append({
    rows: [logEntry({ kind: "control" })],
    commands: ids.map((correlationId) => ({ _tag: "Answered", correlationId, answer: { ack: true, result: "1" } }))
  })
}

const wait = (id: string) => rest.send("GET", `/api/v1/apps/${node.appId}/commands/${id}?timeout=20`)
const looked = (times: number) => waitUntil("all have looked", () => rest.backstage.looks.flat().length === times)

describe("who waits for answers", () => {
  it("does not look when the node reports, and looks in one statement with all others when it answers", async () => {
    const { forest, looks } = rest.backstage
    forest.isBlind = true
    const one = queue()
    const ids = [...Array.from({ length: 20 }, () => one), ...Array.from({ length: 20 }, queue)]
    const answers = Promise.all(ids.map(wait))
    await looked(ids.length)
    looks.length = 0
    for (let i = 0; i < 30; i++) await append()
    // Told is not answered.
    await append({ commands: [{ _tag: "Told", correlationId: one }] })
    // Whoever was woken has looked by the time that another one has come and looked.
    const lastId = queue()
    const last = wait(lastId)
    await looked(1)
    looks.length = 0
    await answer([...new Set(ids)])
    await answers
    const together = looks.splice(0)
    await answer([lastId])
    assert.strictEqual((await last).body.result, lastId)
    for (const [at, { body }] of (await answers).entries()) assert.strictEqual(body.result, ids[at])
    assert.deepStrictEqual(
      together.map((names) => [...names].sort()),
      [[...new Set(ids), lastId].sort()]
    )
  })

  it("finds an answer of which no hint told, also one that another replica took", async () => {
    const id = queue()
    const waiting = wait(id)
    await looked(1)
    rest.backstage.forest.isDeaf = true
    await answer([id])
    assert.strictEqual((await waiting).body.result, id)
  })
})
