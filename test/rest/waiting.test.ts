import { randomUUID } from "node:crypto"
import { connect } from "node:net"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { NodeRow } from "../../src/storage/NodeRow.ts"
import type { NodeWrite } from "../../src/storage/NodeStore.ts"
import { Problem } from "../../src/transports/rest/Problem.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { birthOf, bornRow, hotState, logEntry, requestOf, statusWrite } from "../storage/rows.ts"
import { ID, refused, RestFixture } from "./RestFixture.ts"

const RESULT = '{"rows":12345678901234567890}'

let rest: RestFixture
beforeEach(async () => {
  rest = await RestFixture.start()
})
afterEach(() => rest.stop())

const bear = async (parentId: string | null = null, appName = "node"): Promise<NodeRow> =>
  bornRow(await Effect.runPromise(rest.backstage.forest.store.birth(requestOf(birthOf({ appName }), { parentId }))))

/** The nodes' latest rows, as the writes made here leave them. */
const append = async (node: NodeRow, patch: Partial<NodeWrite> = {}): Promise<NodeRow> => {
  const write = statusWrite(node, node.n, patch)
  const [outcome] = await Effect.runPromise(rest.backstage.forest.store.append(0, [write]))
  assert.strictEqual(outcome?._tag, "Committed")
  return { ...node, n: node.n + write.rows.length }
}

const finish = (node: NodeRow, patch: Partial<NodeWrite> = {}): Promise<NodeRow> =>
  append(node, {
    hot: hotState({ status: "done" }),
    outcome: { state: "done", payload: RESULT },
    rows: [logEntry({ kind: "result", payload: RESULT })],
    ...patch
  })

const waiting = async (): Promise<number> =>
  Number(/^trails_waiters(?:\{.*\})? (\d+)/m.exec((await rest.send("GET", "/metrics")).text)?.[1])
const until = (count: number) => waitUntil(`${count} wait`, async () => (await waiting()) === count)
const wait = (node: { readonly appId: string }, query = "?timeout=20") =>
  rest.send("GET", `/api/v1/apps/${node.appId}/wait${query}`)
const tree = (node: { readonly appId: string }, query = "") =>
  rest.send("GET", `/api/v1/apps/${node.appId}/tree${query}`)

describe("who waits for what is behind a row", () => {
  it("looks once for what has moved, however often the log is looked at for others", async () => {
    const { forest } = rest.backstage
    const node = await append(await append(await bear()))
    let looks = 0
    const look = Effect.sync(() => {
      looks++
      return null
    })
    const refusal = Effect.runPromise(Effect.flip(forest.waiters.logged(node.appId, 0, look, 20_000)))
    await until(1)
    forest.isDeaf = true
    const others = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const other = await bear()
        const answer = wait(other)
        await until(2)
        await finish(other)
        await answer
      }
    }
    await others(1)
    const before = looks
    assert.isAtMost(before, 2)
    await others(4)
    assert.strictEqual(looks, before)
    await append(node)
    await waitUntil("it looks again", () => looks > before)
    await Effect.runPromise(forest.waiters.close)
    assert.instanceOf(await refusal, Problem)
  })
})

describe("GET apps/{id}/wait", () => {
  it("a node that has ended is told at once, its payload to the digit", async () => {
    const node = await finish(await append(await bear()))
    const answer = await wait(node)
    assert.strictEqual(answer.status, 200)
    assert.include(answer.text, `"payload":${RESULT}`)
    assert.include(answer.text, '"snapshot":{"at":2}')
    assert.deepInclude(answer.body, { app_id: node.appId, app_name: "node", status: "done", ended: true })
    assert.deepInclude(answer.body, { snapshot_bytes: 8 })
    assert.closeTo(Date.parse(answer.body.ended_at), Date.now(), 60_000)
    const { payload: _, ...outcome } = answer.body.outcome
    assert.deepStrictEqual(outcome, {
      state: "done",
      reason: null,
      forced: false,
      late_start: false,
      payload_bytes: RESULT.length
    })
  })

  it("100 who wait get one answer each, for one read", async () => {
    const node = await append(await bear())
    const answers = Promise.all(Array.from({ length: 100 }, () => wait(node)))
    await until(100)
    await waitUntil("all have looked", () => rest.backstage.forest.reads === 100)
    rest.backstage.forest.isBlind = true
    // What is no end is not even looked at: by the time that another's end is told, that would have been done.
    const running = await append(node)
    const other = await bear()
    const first = wait(other)
    await waitUntil("the other's waiter has looked", () => rest.backstage.forest.reads === 101)
    await finish(other)
    assert.strictEqual((await first).body.app_id, other.appId)
    assert.strictEqual(rest.backstage.forest.reads, 102)
    await finish(running)
    for (const { body, status } of await answers) assert.deepStrictEqual([status, body.status], [200, "done"])
    assert.strictEqual(rest.backstage.forest.reads, 103)
    await until(0)
  })

  it("a verdict is an end, with its reason; what comes back to life has none", async () => {
    const node = await bear()
    const answer = wait(node)
    await until(1)
    const outcome = { state: "crashed", reason: "heartbeat_timeout" } as const
    const crashed = await append(node, { hot: hotState({ status: "crashed" }), outcome })
    const { body } = await answer
    assert.deepInclude(body, { status: "crashed", ended: true })
    assert.deepInclude(body.outcome, { state: "crashed", reason: "heartbeat_timeout", payload: null })
    await append(crashed, { outcome: null })
    assert.deepInclude((await wait(node, "?timeout=0")).body, { ended: false, ended_at: null, outcome: null })
  })

  it("a node that is reconnecting for a reason has no outcome yet", async () => {
    const outcome = { state: "reconnecting", reason: "replica_lost" } as const
    const node = await append(await bear(), { hot: hotState({ status: "reconnecting" }), outcome })
    assert.deepInclude((await wait(node, "?timeout=0")).body, { status: "reconnecting", ended: false, outcome: null })
  })

  it("a hint that is lost only costs time: the sweep finds the end", async () => {
    const node = await bear()
    const answer = wait(node)
    await until(1)
    rest.backstage.forest.isDeaf = true
    await finish(node)
    assert.strictEqual((await answer).body.status, "done")
  })

  it("an end that could not be read is read when the database is back", async () => {
    const node = await bear()
    const answer = wait(node)
    await until(1)
    const { forest } = rest.backstage
    await waitUntil("it has looked", () => forest.reads === 1)
    forest.isAway = true
    await finish(node)
    await waitUntil("it was tried again and again", () => forest.reads > 5)
    forest.isAway = false
    assert.strictEqual((await answer).body.status, "done")
  })

  it("at the timeout it tells how the node stands then", async () => {
    const node = await bear()
    const answer = wait(node, "?timeout=300ms")
    await until(1)
    await append(node)
    const { body, status } = await answer
    assert.strictEqual(status, 200)
    assert.deepInclude(body, { status: "running", ended: false, outcome: null, snapshot: { at: 1 } })
  })

  it("who goes away is forgotten at once", async () => {
    const node = await bear()
    const socket = connect(rest.port, "127.0.0.1")
    socket.write(`GET /api/v1/apps/${node.appId}/wait HTTP/1.1\r\nHost: ${rest.authority}\r\n\r\n`)
    await until(1)
    socket.destroy()
    await until(0)
  })

  it("a server that stops tells those who wait to come again, and lets nobody in", async () => {
    const node = await bear()
    const { cursor } = (await tree(node)).body
    const answers = [
      wait(node),
      tree(node, `?after=${cursor}&timeout=20`),
      rest.send("GET", `/api/v1/apps/${ID}/log?timeout=20`)
    ]
    rest.backstage.rows = [{ app_id: ID }]
    await until(3)
    await Effect.runPromise(rest.backstage.forest.waiters.close)
    for (const answer of [...(await Promise.all(answers)), await wait(node)]) {
      refused(answer, 503, "going_away", "again")
      assert.deepInclude(answer.headers, { "retry-after": "1", connection: "close" })
    }
  })

  it("more than there is room for → 503 overloaded", async () => {
    const node = await bear()
    const answers = Array.from({ length: 150 }, () => wait(node))
    await until(150)
    const answer = await wait(node)
    refused(answer, 503, "overloaded", "later")
    assert.strictEqual(answer.headers["retry-after"], "1")
    await finish(node)
    await Promise.all(answers)
  })

  it("an unknown node → 404; an id or timeout that is none → 400", async () => {
    refused(await wait({ appId: randomUUID() }), 404, "not_found")
    refused(await wait({ appId: "me" }), 400, "bad_parameter", "UUID")
    for (const timeout of ["-1", "301", "6m", "soon", "1e2", ""]) {
      refused(await wait({ appId: ID }, `?timeout=${timeout}`), 400, "bad_parameter", "0 to 300 seconds")
    }
  })
})

describe("GET apps/{id}/log?timeout=", () => {
  const row = { id: 1, appId: ID, n: 5, epoch: 1, pathVersion: 1, createdAt: 0, ...logEntry() }
  const log = (query: string) => rest.send("GET", `/api/v1/apps/${ID}/log${query}`)
  beforeEach(() => {
    rest.backstage.rows = [{ app_id: ID }]
  })
  const bearIt = async () =>
    bornRow(await Effect.runPromise(rest.backstage.forest.store.birth(requestOf(birthOf(), { appId: ID }))))

  for (const deaf of [false, true]) {
    it(`answers as soon as there is a row${deaf ? ", by the sweep when the hint is lost" : ""}`, async () => {
      const node = await bearIt()
      const answer = log("?after=4&timeout=20")
      await until(1)
      rest.backstage.forest.isDeaf = deaf
      rest.backstage.forest.isBlind = !deaf
      // Not behind n yet: nobody is answered.
      let latest = await append(node)
      rest.backstage.log = [row]
      while (latest.n < 5) latest = await append(latest)
      assert.deepStrictEqual((await answer).body.next, 5)
    })
  }

  it("rows that are there are given at once, and none at the timeout", async () => {
    rest.backstage.log = [row]
    assert.lengthOf((await log("?timeout=20")).body.items, 1)
    assert.deepStrictEqual((await log("?after=5&timeout=50ms")).body, { items: [], next: null })
    refused(await log("?timeout=x"), 400, "bad_parameter", "timeout")
  })
})

describe("GET apps/{id}/tree", () => {
  it("gives parents before children, flat, with payloads to the digit", async () => {
    const root = await bear(null, "root")
    const leaf = await bear(root.appId, "leaf")
    const snapshot = { seq: 1, payload: '{"big":12345678901234567890}' }
    await finish(leaf, { snapshot, outcome: { state: "done", reason: "completed", payload: "[1.10]" } })
    const { body, text } = await tree(root)
    assert.deepStrictEqual(
      body.items.map((item: Record<string, unknown>) => [item.app_id, item.parent_id, item.depth, item.app_name]),
      [
        [root.appId, null, 0, "root"],
        [leaf.appId, root.appId, 1, "leaf"]
      ]
    )
    assert.include(text, '"snapshot":{"big":12345678901234567890}')
    assert.include(text, '"payload":[1.10]')
    assert.deepInclude(body, { truncated: false, total: 2, unchanged: false })
    assert.deepStrictEqual(Object.keys(body.items[0]).sort(), [
      "app_id",
      "app_name",
      "connected_at",
      "created_at",
      "deadline_at",
      "depth",
      "disconnected_at",
      "ended_at",
      "executable",
      "level",
      "namespace",
      "node_name",
      "outcome",
      "parent_id",
      "pid",
      "pod_name",
      "snapshot",
      "snapshot_bytes",
      "started_at",
      "status",
      "tags"
    ])
    assert.deepInclude(body.items[0], {
      outcome: null,
      snapshot: null,
      snapshot_bytes: null,
      pid: 7,
      pod_name: "pod-1"
    })
    assert.deepInclude(body.items[1].outcome, { state: "done", reason: "completed", payload_bytes: 6 })
  })

  it("depth and limit cut it, and it says so", async () => {
    const root = await bear()
    const child = await bear(root.appId)
    await bear(child.appId)
    const cut = async (query: string) => {
      const { items, total, truncated } = (await tree(root, query)).body
      return [items.length, truncated, total]
    }
    assert.deepStrictEqual(await cut(""), [3, false, 3])
    assert.deepStrictEqual(await cut("?depth=1"), [2, false, 2])
    assert.deepStrictEqual(await cut("?depth=0"), [1, false, 1])
    assert.deepStrictEqual(await cut("?limit=2"), [2, true, 3])
  })

  for (const deaf of [false, true]) {
    for (const whose of ["its own", "a descendant's"]) {
      it(`waits for a change after its cursor, ${whose}${deaf ? ", without a hint" : ""}`, async () => {
        const root = await bear()
        const child = await bear(root.appId)
        const stranger = await bear()
        const { cursor } = (await tree(root)).body
        const answer = tree(root, `?after=${cursor}&timeout=20`)
        await until(1)
        rest.backstage.forest.isDeaf = deaf
        rest.backstage.forest.isBlind = !deaf
        await append(stranger)
        await append(whose === "its own" ? root : child)
        const { body } = await answer
        assert.deepStrictEqual([body.unchanged, body.items.length], [false, 2])
        assert.isAbove(Number(body.cursor), Number(cursor))
      })
    }
  }

  it("what has happened since is told at once; nothing, and it says so at the timeout", async () => {
    const root = await bear()
    const stranger = await bear()
    const { cursor } = (await tree(root)).body
    await append(stranger)
    assert.deepStrictEqual((await tree(root, `?after=${cursor}&timeout=120ms`)).body, {
      items: [],
      cursor,
      truncated: false,
      total: null,
      unchanged: true
    })
    await append(root)
    assert.lengthOf((await tree(root, `?after=${cursor}`)).body.items, 1)
    assert.lengthOf((await tree(root, `?after=${cursor}&timeout=20`)).body.items, 1)
  })

  it("unknown nodes, cursors and numbers are refused", async () => {
    const root = await bear()
    for (const query of ["", "?after=0", "?after=0&timeout=20"]) {
      refused(await tree({ appId: randomUUID() }, query), 404, "not_found")
    }
    for (const [query, words] of [
      ["?after=x", "no cursor"],
      ["?after=999999", "no cursor"],
      ["?timeout=5", "goes with after"],
      ["?limit=10001", "1 to 10000"],
      ["?limit=0", "1 to 10000"],
      ["?depth=65", "0 to 64"],
      ["?after=0&timeout=400", "300 seconds"]
    ] as const) {
      refused(await tree(root, query), 400, "bad_parameter", words)
    }
    refused(await tree({ appId: "me" }), 400, "bad_parameter", "UUID")
  })
})
