import { describe, expect, it } from "vitest"
import type { Child, Outcome } from "../../src/client/TrailsNode.ts"
import { decodeEnvelope, isEnvelopeProblem } from "../../src/protocol/Envelope.ts"
import type { TreeEvent } from "../../src/protocol/TreeEvent.ts"
import { publicKeyOf } from "../harness/Keypair.ts"
import { verify } from "node:crypto"
import { MODES } from "./FakePlatform.ts"
import { Stage } from "./Stage.ts"

const payloadFrame = (msg_type: string, payload: unknown): string =>
  JSON.stringify({ type: "message", header: { msg_type }, payload })

/** The parent's side of a tree: events of its children, numbered and with cursors. */
class Tree {
  readonly stage: Stage
  readonly parent: string
  #cursor = 0

  constructor(stage: Stage, parent: string) {
    this.stage = stage
    this.parent = parent
  }

  async tell(child: Child, kind: string, n: number, data: Partial<TreeEvent["data"]> = {}): Promise<void> {
    const event = {
      specversion: "1.0",
      id: `${child.appId}:${n}`,
      source: `urn:uuid:${this.parent}`,
      type: `io.trails.node.${kind}`,
      subject: child.appId,
      time: "2026-11-25T10:00:00.123Z",
      datacontenttype: "application/json",
      data: {
        app_id: child.appId,
        parent_id: this.parent,
        root_id: this.parent,
        path: [this.parent, child.appId],
        app_name: child.name,
        namespace: "default",
        kind,
        incarnation: 1,
        epoch: 1,
        n,
        seq: null,
        correlation_id: null,
        facts: null,
        ...data
      }
    } as TreeEvent
    await this.stage.say({ type: "event", app_id: this.parent, cursor: `at-${++this.#cursor}`, event })
  }
}

const planted = async (stage: Stage) => {
  const { appId, node } = await stage.attached()
  return { appId, node, tree: new Tree(stage, appId) }
}

/** What a wait has given so far. */
const watch = (promise: Promise<Outcome | null>) => {
  const seen: { outcome?: Outcome | null } = {}
  void promise.then((outcome) => (seen.outcome = outcome))
  return seen
}

describe.each(MODES)("children, cryptography %s", (mode) => {
  it("are declared with a ticket by their parent's key, and in each session again until the server answers (D1)", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node()
    const child = await node.createChild("load", { tags: { table: "orders" }, deadline: 60 })
    let declared: unknown = null
    void child.declared.then((value) => (declared = value))
    await stage.hello()
    await stage.admit(appId)
    const envelope = decodeEnvelope(child.info)
    if (isEnvelopeProblem(envelope)) throw new Error(envelope.problem)
    expect(envelope).toMatchObject({ appId: child.appId, parentId: appId, appName: "load", startDeadline: 60 })
    const json = Buffer.from(child.info, "base64").toString()
    const [, body, ticket] = /^(.*),"ticket":"ed25519:(.*)"\}$/.exec(json) ?? []
    const key = publicKeyOf(stage.asked(appId)!["child_pub_key"] as string)
    const signed = Buffer.from(`trails.v1.ticket\n${body}}`)
    expect(verify(null, signed, key, Buffer.from(ticket!, "base64"))).toBe(true)
    expect(child.env).toEqual({ TRAILS_INFO: child.info, TRAILS_AGENT: "" })

    expect(stage.socket.of("declare")).toMatchObject([{ info: child.info, incarnation: 1 }])
    stage.socket.drop()
    await stage.back(appId)
    expect(stage.socket.of("declare")).toMatchObject([{ info: child.info }])
    expect(declared).toBeNull()
    await stage.say({ type: "declared", app_id: appId, child_id: child.appId })
    expect(declared).toEqual({ ok: true })
    stage.socket.drop()
    await stage.back(appId)
    expect(stage.socket.of("declare")).toEqual([])
  })

  it("are told what the server has against them, and declared again when that may pass", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await planted(stage)
    const refused = await node.createChild("a")
    const later = await node.createChild("b", { replaces: refused })
    await stage.platform.settle()
    expect(stage.socket.of("declare").at(-1)).toMatchObject({ replaces: refused.appId })
    await stage.refuse(appId, { code: "terminal", child_id: refused.appId })
    expect(await refused.declared).toMatchObject({ ok: false, code: "terminal" })
    await stage.refuse(appId, { code: "unavailable", child_id: later.appId, retryable: true })
    await stage.platform.advance(999)
    expect(stage.socket.of("declare")).toHaveLength(2)
    await stage.platform.advance(1)
    expect(stage.socket.of("declare")).toHaveLength(3)
    await stage.say({ type: "declared", app_id: appId, child_id: later.appId })
    expect(await later.declared).toEqual({ ok: true })
    expect(node.stats().state).toBe("attached")
  })

  it("that can't be declared are refused here: their parent must not wait for an answer that never comes", async () => {
    const stage = new Stage(mode)
    const { node } = await planted(stage)
    for (const options of [{ replaces: "somebody" }, { appId: "me" }, { tags: { text: "x".repeat(20_000) } }])
      expect(await (await node.createChild("a", options)).declared).toMatchObject({ ok: false, code: "bad_frame" })
    await stage.platform.settle()
    expect(stage.socket.of("declare")).toEqual([])
    expect(stage.platform.alive).toBe(0)
  })

  it("of one id are one child: both handles get the answer and the events", async () => {
    const stage = new Stage(mode)
    const { appId, node, tree } = await planted(stage)
    const first = await node.createChild("a")
    const second = await node.createChild("a", { appId: first.appId })
    const waits = [first, second].map((child) => watch(child.wait()))
    await stage.say({ type: "declared", app_id: appId, child_id: first.appId })
    expect(await Promise.all([first.declared, second.declared])).toEqual([{ ok: true }, { ok: true }])
    await tree.tell(first, "result", 1)
    expect(waits).toMatchObject([{ outcome: { state: "done" } }, { outcome: { state: "done" } }])
  })

  it("are followed by one subscription, that goes on from the last event handled in each session (D2)", async () => {
    const stage = new Stage(mode)
    const { appId, node, tree } = await planted(stage)
    const [a, b] = [await node.createChild("a"), await node.createChild("b")]
    expect(stage.socket.of("subscribe")).toEqual([])
    const [first, second] = [watch(a.wait()), watch(b.wait())]
    await stage.platform.settle()
    expect(stage.socket.of("subscribe")).toHaveLength(1)
    expect(stage.socket.of("subscribe")[0]).toMatchObject({ scope: "children", app_id: appId, incarnation: 1 })
    expect(stage.socket.of("subscribe")[0]).not.toHaveProperty("from")
    await tree.tell(a, "connected", 1)
    await tree.tell(a, "result", 2, { frame: payloadFrame("Result", { rows: 7 }) })
    expect(first.outcome).toMatchObject({ state: "done", result: { rows: 7 } })
    expect(second).toEqual({})
    stage.socket.drop()
    await stage.back(appId)
    expect(stage.socket.of("subscribe")).toMatchObject([{ from: "at-2" }])
    await tree.tell(b, "error", 5, { frame: payloadFrame("Error", { message: "broken", detail: { line: 3 } }) })
    expect(second.outcome).toMatchObject({ state: "error", error: { message: "broken", detail: { line: 3 } } })
  })

  it.each<[string, Partial<TreeEvent["data"]>, Partial<Outcome>]>([
    ["result", { facts: { disconnect: "completed" } }, { state: "done", reason: "completed" }],
    ["error", { facts: { disconnect: "exit code 3" } }, { state: "error", reason: "exit code 3" }],
    [
      "crash",
      { facts: { crash_type: "connection_drop", gap_seconds: 1.5 } },
      { state: "crashed", reason: "connection_drop" }
    ],
    ["lost_contact", { facts: { crash_type: "replica_lost" } }, { state: "lost_contact", reason: "replica_lost" }],
    ["start_failed", { facts: { crash_type: "never_started" } }, { state: "start_failed", reason: "never_started" }],
    [
      "cancelled",
      { facts: { reason: "superseded", forced: true } },
      { state: "cancelled", reason: "superseded", forced: true }
    ],
    [
      "result",
      { frame: '{"type":"message","header":{"msg_type":"Result"},"bytes":"AQI="}' },
      { state: "done", result: Uint8Array.of(1, 2) }
    ],
    ["cancelled", { frame: payloadFrame("Result", 4) }, { state: "cancelled", result: 4 }]
  ])("that end by %s %j are an outcome", async (kind, data, expected) => {
    const stage = new Stage(mode)
    const { node, tree } = await planted(stage)
    const child = await node.createChild("a")
    const seen = watch(child.wait())
    await tree.tell(child, kind, 3, data)
    expect(seen.outcome).toMatchObject(expected)
    expect(seen.outcome?.event.data.n).toBe(3)
  })

  it("that crash and come back are awaited again; what is final stays", async () => {
    const stage = new Stage(mode)
    const { node, tree } = await planted(stage)
    const child = await node.createChild("a")
    const first = watch(child.wait())
    await tree.tell(child, "crash", 3)
    expect(first.outcome).toMatchObject({ state: "crashed" })
    expect(await child.wait()).toMatchObject({ state: "crashed" })
    await tree.tell(child, "recovered", 4)
    const second = watch(child.wait())
    await tree.tell(child, "result", 5)
    expect(second.outcome).toMatchObject({ state: "done" })
    await tree.tell(child, "status", 6)
    expect(await child.wait()).toMatchObject({ state: "done" })
  })

  it("are told of once, though events come twice; a listener that throws disturbs nobody", async () => {
    const stage = new Stage(mode)
    const { node, tree } = await planted(stage)
    const child = await node.createChild("a")
    const heard: Array<number> = []
    child.onEvent(() => {
      throw new Error("mine")
    })
    const stop = child.onEvent(({ data }) => heard.push(data.n))
    for (const n of [1, 2, 2, 1, 3]) await tree.tell(child, "status", n)
    expect(heard).toEqual([1, 2, 3])
    stop()
    await tree.tell(child, "status", 4)
    expect(heard).toEqual([1, 2, 3])
    expect(node.stats().state).toBe("attached")
  })

  it("that are watched late have lost nothing", async () => {
    const stage = new Stage(mode)
    const { node, tree } = await planted(stage)
    const [early, late] = [await node.createChild("early"), await node.createChild("late")]
    const seen = watch(early.wait())
    await tree.tell(late, "result", 2, { frame: payloadFrame("Result", "soon") })
    await tree.tell(early, "result", 2)
    expect(seen.outcome).toMatchObject({ state: "done" })
    expect(await late.wait()).toMatchObject({ state: "done", result: "soon" })
  })

  it("are waited for so long and no longer, and the process lives meanwhile", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await planted(stage)
    const child = await node.createChild("a")
    await stage.say({ type: "declared", app_id: appId, child_id: child.appId })
    await child.declared
    const seen = watch(child.wait({ timeoutMs: 500 }))
    await stage.platform.advance(499)
    expect([seen, stage.platform.alive]).toEqual([{}, 1])
    await stage.platform.advance(1)
    expect([seen, stage.platform.alive]).toEqual([{ outcome: null }, 0])
  })

  it("are nobody's when their parent has ended: whoever waits gets null", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await planted(stage)
    const child = await node.createChild("a")
    const seen = watch(child.wait())
    await stage.say({ type: "declared", app_id: appId, child_id: child.appId })
    const over = node.shutdown()
    await stage.platform.settle()
    await stage.ack(appId, 1)
    expect(await over).toBe(true)
    expect(seen).toEqual({ outcome: null })
    expect(await child.wait()).toBeNull()
    expect(await (await node.createChild("late")).declared).toMatchObject({ ok: false, code: "ended" })
    expect(stage.platform.alive).toBe(0)
  })

  it("are declared before their parent says goodbye", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await planted(stage)
    const child = await node.createChild("a")
    const over = node.shutdown()
    await stage.platform.settle()
    expect(stage.socket.of("disconnect")).toEqual([])
    await stage.say({ type: "declared", app_id: appId, child_id: child.appId })
    expect(stage.socket.of("disconnect")).toHaveLength(1)
    await stage.ack(appId, 1)
    expect(await over).toBe(true)
  })

  it("are subscribed to again from the beginning when the cursor is of no use, and later when there is no room", async () => {
    const stage = new Stage(mode)
    const { appId, node, tree } = await planted(stage)
    const child = await node.createChild("a")
    void child.wait()
    await tree.tell(child, "connected", 1)
    stage.socket.drop()
    await stage.back(appId)
    const socket = stage.socket
    await stage.refuse(appId, { code: "overloaded", retry_after_ms: 2000 })
    await stage.platform.advance(1999)
    expect(socket.of("subscribe")).toHaveLength(1)
    await stage.platform.advance(1)
    expect(socket.of("subscribe").map(({ from }) => from)).toEqual(["at-1", "at-1"])
    await stage.refuse(appId, { code: "bad_frame" })
    await stage.platform.advance(1000)
    expect(socket.of("subscribe").map(({ from }) => from)).toEqual(["at-1", "at-1", undefined])
    // The session was not given up for it.
    expect(socket.ended).toBeNull()
    expect(node.stats()).toMatchObject({ state: "attached", reconnects: 1 })
  })
})
