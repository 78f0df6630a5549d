import { randomUUID } from "node:crypto"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import type { TreeEvent } from "../../src/protocol/TreeEvent.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { isSealedBy, makeKeypair } from "../harness/Keypair.ts"
import { RawNode, Refused } from "../harness/RawNode.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { attach, childOf, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Watcher } from "../harness/Watcher.ts"
import type { Wire } from "../harness/Wire.ts"

const database = await freshDatabase()
const MAX_FRAME = 256 * 1024
let server: Trailsd
const wires: Array<Wire> = []

beforeAll(async () => {
  server = await Trailsd.start({
    databaseUrl: database.url,
    env: { DISCONNECT_GRACE: "500ms", TRAILS_MAX_FRAME: String(MAX_FRAME) }
  })
})
afterEach(async () => {
  for (const wire of wires.splice(0)) if (wire.isOpen) await wire.close()
})
afterAll(async () => {
  await server.dispose()
  await database.drop()
})

const join = async (node: RawNode): Promise<RawNode> => {
  wires.push(await attach(server, node))
  return node
}
const comeBack = async (node: RawNode): Promise<void> => {
  const wire = await dial(server)
  wires.push(wire)
  await node.reRegister(wire)
}
const watch = async (scope: "children" | "subtree" = "children", level: "open" | "signed" = "open") => {
  const watcher = new Watcher(await join(rootOf(server, { level })))
  watcher.subscribe(scope)
  return watcher
}
const child = (parent: RawNode, appName = "child") => join(childOf(server, parent, { appName }))

/** A node's events: every row's once, in order; without what is in the log only. */
const expectWhole = (events: ReadonlyArray<TreeEvent>, rows: number): void =>
  expect(events.map(({ data }) => data.n)).toEqual(Array.from({ length: rows }, (_, index) => index + 1))

describe("what a parent is told", () => {
  it("history and live are one thing: a child's life, in order, with its frames verbatim", async () => {
    const watcher = await watch("children", "signed")
    const node = await child(watcher.node, "load-orders")
    const status = node.status({ progress: 0.5 })
    await watcher.sees(node.appId, "status")
    node.result({ rows: 3 })
    await watcher.sees(node.appId, "result")
    expect(watcher.kinds(node.appId)).toEqual(["connected", "status", "result"])
    const [connected, running, result] = watcher.of(node.appId)
    expect(connected).toEqual({
      specversion: "1.0",
      id: `${node.appId}:1`,
      source: `urn:uuid:${watcher.node.appId}`,
      type: "io.trails.node.connected",
      subject: node.appId,
      time: expect.stringMatching(/^2\d{3}-\d\d-\d\dT.*Z$/),
      datacontenttype: "application/json",
      data: {
        app_id: node.appId,
        parent_id: watcher.node.appId,
        root_id: watcher.node.appId,
        path: [watcher.node.appId, node.appId],
        app_name: "load-orders",
        namespace: "default",
        kind: "connected",
        incarnation: 1,
        epoch: 1,
        n: 1,
        seq: null,
        correlation_id: null,
        facts: { session: node.registered!.session },
        frame: expect.any(String)
      }
    })
    // Whoever has the server's key can tell that it bound this key to this node.
    expect(isSealedBy(connected!.data.frame!, server.serverKey.publicKey)).toBe(true)
    expect(JSON.parse(connected!.data.frame!)).toMatchObject({ app_id: node.appId, child_pub_key: node.keys.text })
    expect(running!.data).toMatchObject({ seq: status, frame: node.entries[0]!.text })
    expect(result!.data).toMatchObject({ frame: node.entries[1]!.text, correlation_id: expect.any(String) })
    const again = new Watcher(watcher.node)
    again.subscribe("children")
    await again.sees(node.appId, "result")
    expect(again.events).toEqual(watcher.events)
  })

  it("a declared child: scheduled comes without its ticket", async () => {
    const watcher = await watch("children", "signed")
    const node = childOf(server, watcher.node)
    const { appId, incarnation, wire } = watcher.node
    wire!.send(watcher.node.sealed({ type: "declare", app_id: appId, incarnation, info: node.envelope.info }))
    const scheduled = await watcher.sees(node.appId, "scheduled")
    expect(scheduled.data).toMatchObject({ incarnation: 0, facts: { by: `node:${appId}` } })
    expect(scheduled.data).not.toHaveProperty("frame")
    await join(node)
    await watcher.sees(node.appId, "connected")
    expect(JSON.stringify(watcher.frames)).not.toContain('ticket":')
    expect(JSON.stringify(watcher.frames)).not.toContain(node.envelope.info.slice(-60))
  })

  it("a killed child: reconnecting, then crash; and recovered when it comes back", async () => {
    const watcher = await watch()
    const node = await child(watcher.node)
    node.wire!.terminate()
    const crash = await watcher.sees(node.appId, "crash")
    expect(crash.data.facts).toEqual({ crash_type: "connection_drop", gap_seconds: expect.any(Number) })
    await comeBack(node)
    await watcher.sees(node.appId, "recovered")
    expect(watcher.kinds(node.appId)).toEqual(["connected", "reconnecting", "crash", "recovered"])
    expect(watcher.of(node.appId)[3]!.data.facts).toEqual({ session: node.registered!.session })
  })

  it("an impostor: which key came, from where, and no ticket", async () => {
    const watcher = await watch("children", "signed")
    const node = await child(watcher.node)
    const thief = new RawNode(node.envelope, { keys: makeKeypair(), serverKey: server.serverKey.text })
    await expect(attach(server, thief)).rejects.toThrow(Refused)
    const impostor = await watcher.sees(node.appId, "impostor")
    expect(impostor.data.facts).toEqual({ pub_key: thief.keys.text, peer: expect.stringContaining("127.0.0.1") })
    expect(impostor.data).not.toHaveProperty("frame")
  })

  it("evidence of refused messages is no event", async () => {
    const watcher = await watch()
    const node = await child(watcher.node)
    node.result(1)
    const late = node.status({ late: true })
    node.disconnect("completed")
    await waitUntil("the refusal", () => node.errors.some(({ seq }) => seq === late))
    const marker = await child(watcher.node)
    await watcher.sees(marker.appId, "connected")
    expect(watcher.kinds(node.appId)).toEqual(["connected", "result"])
  })

  it("children: own children alone; subtree: all below; never one's own rows, a sibling's or the parent's", async () => {
    const root = new Watcher(await join(rootOf(server)))
    const mid = new Watcher(await child(root.node, "mid"))
    const leaf = await child(mid.node, "leaf")
    const side = new Watcher(await child(root.node, "side"))
    const far = await child(side.node, "far")
    const stranger = await child(await join(rootOf(server)), "stranger")
    root.subscribe("children")
    mid.subscribe("subtree")
    side.subscribe("children")
    for (const node of [leaf, far, stranger, mid.node, root.node]) node.status({})
    await mid.sees(leaf.appId, "status")
    await side.sees(far.appId, "status")
    await root.sees(mid.node.appId, "status")
    const names = (watcher: Watcher) => new Set(watcher.events.map(({ data }) => data.app_name))
    expect([names(root), names(mid), names(side)]).toEqual([
      new Set(["mid", "side"]),
      new Set(["leaf"]),
      new Set(["far"])
    ])
    root.subscribe("subtree")
    await root.sees(far.appId, "status")
    expect(names(root)).toEqual(new Set(["mid", "side", "leaf", "far"]))
    expect(root.of(leaf.appId)[0]!.data.path).toEqual([root.node.appId, mid.node.appId, leaf.appId])
  })

  it("an event that would be larger than a frame may be goes without the frame, and says where it is", async () => {
    const watcher = await watch()
    const node = await child(watcher.node)
    // Each quote takes two bytes in the string that the frame becomes.
    const fits = node.status({ text: "x".repeat(MAX_FRAME - 8 * 1024) })
    const large = node.status({ text: '"'.repeat(MAX_FRAME / 2 - 1024) })
    await waitUntil("both", () => watcher.of(node.appId).length === 3)
    const [, first, second] = watcher.of(node.appId)
    expect(first!.data).toMatchObject({ seq: fits, frame: node.entries[0]!.text })
    expect(first).not.toHaveProperty("dataref")
    expect(second!.data).toMatchObject({ seq: large })
    expect(second!.data).not.toHaveProperty("frame")
    const { items } = (await (await fetch(server.http + second!.dataref!)).json()) as {
      items: Array<{ frame: string }>
    }
    expect(items.map(({ frame }) => frame)).toEqual([node.entries[1]!.text])
  })

  it("rows that another replica commits, of which there is no hint here, are found by the sweep", async () => {
    const watcher = await watch()
    const node = await child(watcher.node)
    await watcher.sees(node.appId, "connected")
    await queryPostgres(
      database.url,
      `INSERT INTO node_log (app_id, parent_id, n, day, epoch, incarnation, path_version, kind)
       VALUES ($1, $2, 2, trails.start_day(now()), 1, 1, 1, 'reconnecting')`,
      [node.appId, watcher.node.appId]
    )
    await watcher.sees(node.appId, "reconnecting", 5000)
  })
})

describe("cursors", () => {
  it("go on behind the event that they came with, also after a restart of the server", async () => {
    const watcher = await watch()
    const node = await child(watcher.node)
    for (let i = 0; i < 5; i++) node.status({ i })
    await waitUntil("all", () => watcher.of(node.appId).length === 6)
    const third = watcher.frames[2]!.cursor
    const later = new Watcher(watcher.node)
    later.subscribe("children", third)
    await waitUntil("the rest", () => later.frames.length === 3)
    expect(later.events).toEqual(watcher.events.slice(3))
    await server.stop()
    await server.start()
    await comeBack(watcher.node)
    later.subscribe("children", later.cursor)
    await comeBack(node)
    node.status({ after: true })
    await waitUntil("the news", () => later.of(node.appId).at(-1)?.data.kind === "status" && later.frames.length > 5)
    expect(later.of(node.appId).map(({ data }) => data.n)).toEqual([4, 5, 6, 7, 8, 9])
  })

  it.for(["nonsense", "-1", "1.5", "01", "1e3", "", "9007199254740991"])("%o is none of this log's", async (from) => {
    const watcher = new Watcher(await join(rootOf(server)))
    watcher.subscribe("children", from)
    await waitUntil("the refusal", () => watcher.errors.length === 1)
    expect(watcher.errors[0]).toMatchObject({
      code: "bad_frame",
      app_id: watcher.node.appId,
      retryable: false,
      message: expect.stringContaining("cursor")
    })
    watcher.subscribe("children")
    const node = await child(watcher.node)
    await watcher.sees(node.appId, "connected")
  })

  it("nothing is missed and nothing out of order while 20 children report and the parent comes and goes", async () => {
    const watcher = await watch("subtree")
    const shared = await dial(server)
    wires.push(shared)
    const nodes = Array.from({ length: 20 }, () => childOf(server, watcher.node))
    let reporting = true
    const reports = nodes.map(async (node) => {
      await node.register(shared)
      for (let i = 0; reporting; i++) {
        node.status({ i })
        await waitUntil("its ack", () => node.inFlight === 0, { everyMs: 1 })
      }
    })
    const scopes = ["children", "subtree"] as const
    for (let round = 0; round < 20; round++) {
      const before = watcher.frames.length
      await waitUntil("some events", () => watcher.frames.length > before + 20, { everyMs: 1 })
      // By a new subscription, by one that replaces another, by a new session.
      if (round % 2 === 0) {
        watcher.node.wire!.terminate()
        await comeBack(watcher.node)
      }
      watcher.subscribe(scopes[(round >> 1) % 2]!, watcher.cursor)
    }
    watcher.node.wire!.terminate()
    await comeBack(watcher.node)
    watcher.subscribe("children", watcher.cursor)
    reporting = false
    await Promise.all(reports)
    const rows = new Map(nodes.map((node) => [node.appId, node.seq + 1]))
    const seen = (node: RawNode) => watcher.of(node.appId).map(({ data }) => data.n)
    await waitUntil("the last ones", () => nodes.every((node) => seen(node).at(-1) === rows.get(node.appId)))
    for (const node of nodes) {
      // A subscription of the other scope may have told it too: at least once.
      const once = seen(node).filter((n, index, all) => all.indexOf(n) === index)
      expect(once).toEqual(Array.from({ length: rows.get(node.appId)! }, (_, index) => index + 1))
    }
  })
})

describe("sessions and subscriptions", () => {
  it("one subscription per scope: a second one takes its place and begins where it says", async () => {
    const watcher = await watch()
    const node = await child(watcher.node)
    await watcher.sees(node.appId, "connected")
    watcher.subscribe("children", watcher.cursor)
    node.status({ i: 1 })
    await watcher.sees(node.appId, "status")
    node.status({ i: 2 })
    await waitUntil("the second", () => watcher.of(node.appId).length === 3)
    expectWhole(watcher.of(node.appId), 3)
  })

  it("many sessions on one socket: each is told of its own", async () => {
    const wire = await dial(server)
    wires.push(wire)
    const parents = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const node = rootOf(server)
        await node.register(wire)
        return new Watcher(node)
      })
    )
    for (const parent of parents) parent.subscribe("children")
    const nodes = await Promise.all(parents.map(({ node }) => child(node)))
    await Promise.all(nodes.map((node, index) => parents[index]!.sees(node.appId, "connected")))
    for (const [index, parent] of parents.entries())
      expect(new Set(parent.events.map(({ data }) => data.app_id))).toEqual(new Set([nodes[index]!.appId]))
  })

  it("another incarnation is superseded; the old session's subscription ends with it", async () => {
    const watcher = await watch()
    watcher.subscribe("children", undefined, { incarnation: 7 })
    await waitUntil("the refusal", () => watcher.errors.some(({ code }) => code === "superseded"))
    const old = watcher.node.wire!
    await comeBack(watcher.node)
    const count = watcher.frames.length
    const node = await child(watcher.node)
    const other = await watch()
    const marker = await child(other.node)
    await other.sees(marker.appId, "connected")
    expect(watcher.frames.length).toBe(count)
    expect(old.isOpen).toBe(false)
    watcher.subscribe("children")
    await watcher.sees(node.appId, "connected")
  })

  it("a session for stopping only is refused with terminal", async () => {
    const parent = await join(rootOf(server))
    const node = childOf(server, parent, { appId: randomUUID() })
    const { appId, incarnation } = parent
    parent.wire!.send(parent.sealed({ type: "declare", app_id: appId, incarnation, info: node.envelope.info }))
    await waitUntil("its row", async () => (await fetch(`${server.http}/api/v1/apps/${node.appId}`)).status === 200)
    await fetch(`${server.http}/api/v1/children/${node.appId}`, { method: "DELETE" })
    const stopped = new Watcher(node)
    await join(node)
    expect(node.registered!.only).toBe("cancel")
    stopped.subscribe("children")
    await waitUntil("the refusal", () => stopped.errors.some(({ code }) => code === "terminal"))
  })
})
