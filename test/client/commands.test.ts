import { randomUUID } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { CancelHandler, TrailsNode } from "../../src/client/TrailsNode.ts"
import { decodeEnvelope } from "../../src/protocol/Envelope.ts"
import type { ControlFrame } from "../../src/protocol/Frames.ts"
import { MODES } from "./FakePlatform.ts"
import { answers, control } from "./controls.ts"
import { Stage } from "./Stage.ts"

describe.each(MODES)("commands, cryptography %s", (mode) => {
  it("an unknown action is answered as that, a repetition the same again, and the node goes on", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    await control(stage, { action: "dance" })
    await control(stage, { action: "dance" })
    const expected = { correlation_id: "c-1", ack: false, error: "unknown_action", incarnation: 1 }
    expect(answers(stage)).toMatchObject([expected, expected])
    expect(node.status(1).queued).toBe(true)
  })

  it("cancel runs the handler once, each id is answered, then the node says goodbye as cancelled (C1, C2)", async () => {
    const stage = new Stage(mode)
    const requests: Array<unknown> = []
    const { appId, node } = await stage.attached({
      onCancel: async (request) => {
        requests.push(request)
        await new Promise((resolve) => setImmediate(resolve))
        return { cleaned: 3 }
      }
    })
    await Promise.all([control(stage), control(stage), control(stage, { correlation_id: "c-2" })])
    await stage.platform.settle()
    expect(requests).toMatchObject([{ reason: "enough", graceMs: 2000, initiator: "admin", correlationId: "c-1" }])
    expect(requests).toHaveLength(1)
    await control(stage)
    expect(answers(stage).map(({ ack, correlation_id, result }) => [correlation_id, ack, result])).toEqual([
      ["c-1", true, { cleaned: 3 }],
      ["c-2", true, { cleaned: 3 }],
      ["c-1", true, { cleaned: 3 }]
    ])
    expect(stage.socket.of("disconnect")).toMatchObject([{ reason: "cancelled", seq: 1 }])
    await stage.ack(appId, 1)
    expect(node.stats().state).toBe("ended")
  })

  it("a result from the handler goes before, and takes the place of the goodbye", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    node.onCancel(() => void node.result("half"))
    await control(stage)
    expect(stage.socket.of("message")).toMatchObject([{ payload: "half", header: { msg_type: "Result" } }])
    expect(stage.socket.of("disconnect")).toEqual([])
    expect(answers(stage)).toMatchObject([{ ack: true, result: null }])
  })

  it.each<[string, (stage: Stage, node: TrailsNode) => unknown]>([
    ["shuts the node down", (_, node) => node.shutdown()],
    ["ends the process well", (stage) => stage.platform.watcher!.ending(0)],
    ["ends the process with a code", (stage) => stage.platform.watcher!.ending(3)],
    ["leaves nothing to do", (stage) => stage.platform.watcher!.idle()]
  ])("a handler that %s has cancelled the node all the same", async (_, end) => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    node.onCancel(() => end(stage, node))
    await control(stage)
    expect(stage.socket.of("disconnect")).toMatchObject([{ reason: "cancelled", seq: 1 }])
    await stage.ack(appId, 1)
    expect(node.stats().state).toBe("ended")
  })

  it("a handler that comes late is waited for until the grace is over", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    await control(stage)
    await stage.platform.advance(1900)
    expect(answers(stage)).toEqual([])
    node.onCancel(() => "done")
    await stage.platform.settle()
    expect(answers(stage)).toMatchObject([{ ack: true, result: "done" }])
  })

  it("without a handler a cancel is answered so, and a later one finds the handler that there is by then", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    await control(stage)
    await stage.platform.advance(2000)
    expect(answers(stage)).toMatchObject([{ ack: false, error: "no_cancel_handler" }])
    expect(node.status("on").queued).toBe(true)
    node.onCancel(() => 1)
    await control(stage, { correlation_id: "c-2" })
    expect(answers(stage).at(-1)).toMatchObject({ correlation_id: "c-2", ack: true, result: 1 })
  })

  it("a cancel that allows less shortens what is left, for the handler and for the one that is waited for (C2)", async () => {
    const stage = new Stage(mode)
    let left = (): number => Number.NaN
    await stage.attached({
      onCancel: ({ remainingMs }) => {
        left = remainingMs
        return new Promise(() => {})
      }
    })
    const cancel = (id: string, graceMs: number) => control(stage, { correlation_id: id, payload: { graceMs } })
    await cancel("a", 40_000)
    expect(left()).toBe(40_000)
    await cancel("b", 1000)
    expect(left()).toBe(1000)
    await cancel("c", 30_000)
    expect(left()).toBe(1000)

    const bare = new Stage(mode)
    await bare.attached()
    await control(bare, { correlation_id: "a", payload: { graceMs: 40_000 } })
    await control(bare, { correlation_id: "b", payload: { graceMs: 1000 } })
    await bare.platform.advance(999)
    expect(answers(bare)).toEqual([])
    await bare.platform.advance(1)
    expect(answers(bare).map(({ correlation_id }) => correlation_id)).toEqual(["a", "b"])
    await control(bare, { correlation_id: "c", payload: { graceMs: 5000 } })
    await bare.platform.advance(4999)
    expect(answers(bare)).toHaveLength(2)
  })

  it.each<[string, CancelHandler, RegExp]>([
    [
      "throws",
      () => {
        throw new Error("stuck")
      },
      /^cancel_handler_failed: .*stuck$/
    ],
    ["rejects with what can't be shown", () => Promise.reject(Object.create(null)), /^cancel_handler_failed: /],
    [
      "throws a book",
      () => {
        throw "\0€".repeat(5000)
      },
      /^cancel_handler_failed: .{100,341}/
    ]
  ])(
    "a handler that %s is answered as failed, within the bounds of the protocol, and the node goes on",
    async (_, onCancel, expected) => {
      const stage = new Stage(mode)
      const { node } = await stage.attached({ onCancel })
      await control(stage)
      const [answer] = answers(stage)
      expect(answer).toMatchObject({ ack: false, error: expect.stringMatching(expected) })
      expect(Buffer.byteLength(answer!["error"] as string)).toBeLessThanOrEqual(1024)
      expect(answer!["error"]).not.toContain("\0")
      expect(node.status(1).queued).toBe(true)
    }
  )

  it.each<[string, unknown]>([
    ["can't be written", 1n],
    ["is over the limit, which would end the socket", "x".repeat(2_000_000)]
  ])("an answer that %s is null: the node has stopped all the same", async (_, value) => {
    const stage = new Stage(mode)
    await stage.attached({ onCancel: () => value })
    await control(stage)
    expect(answers(stage)).toMatchObject([{ ack: true, result: null }])
    expect(stage.socket.of("disconnect")).toHaveLength(1)
  })

  it.each<[string, (stage: Stage) => Partial<ControlFrame>]>([
    ["another session", () => ({ session: randomUUID() })],
    ["another incarnation", () => ({ incarnation: 2 })],
    ["a lower epoch (P5)", (stage) => ({ epoch: stage.session!.epoch - 1 })],
    ["a time that is over", (stage) => ({ expires_at: stage.platform.wallClock() - 1 })]
  ])("control of %s is not for this node", async (_, changes) => {
    const stage = new Stage(mode)
    let isCalled = false
    await stage.attached({ onCancel: () => void (isCalled = true) }, { epoch: 5 })
    await control(stage, changes(stage))
    expect(isCalled).toBe(false)
    expect(answers(stage)).toEqual([])
  })

  it("takes the server's clock for what has expired", async () => {
    const stage = new Stage(mode)
    const { appId } = await stage.node()
    stage.socket.nonce = Buffer.alloc(32, 1).toString("base64")
    const server_time = stage.platform.wallClock() - 3_600_000
    await stage.say({
      type: "hello",
      nonce: stage.socket.nonce,
      server_pub_key: stage.keys.text,
      server_time,
      level: "open"
    })
    await stage.admit(appId)
    await control(stage, { action: "dance", expires_at: server_time + 1000 })
    expect(answers(stage)).toHaveLength(1)
  })

  it("takes it as the socket's greeting has told it, in a node that joins later, whoever sets this machine's", async () => {
    const stage = new Stage(mode)
    await stage.attached()
    await stage.platform.advance(50_000)
    stage.platform.setBy = -7_200_000
    const { appId, node } = await stage.node()
    await stage.admit(appId)
    expect(stage.connects).toBe(1)
    const now = stage.platform.monotonic()
    const child = await node.createChild("late")
    expect(decodeEnvelope(child.info)).toMatchObject({ scheduledAt: now })
    await control(stage, { action: "past", correlation_id: "a", expires_at: now })
    await control(stage, { action: "in time", correlation_id: "b", expires_at: now + 1 })
    expect(answers(stage).map(({ correlation_id }) => correlation_id)).toEqual(["b"])
  })

  it("a session for stopping only takes no Status, but the Result that was waiting, and no new report", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node({ onCancel: () => "stopped" })
    node.status(1)
    node.status(2)
    await stage.hello()
    await stage.admit(appId, { only: "cancel" })
    expect(stage.socket.of("message")).toEqual([])
    expect(node.stats()).toMatchObject({ refused: 2, waiting: 0 })
    expect(node.status(3)).toMatchObject({ queued: false, reason: "ended" })
    await control(stage)
    expect(answers(stage)).toMatchObject([{ ack: true, result: "stopped" }])
    expect(stage.socket.of("disconnect")).toMatchObject([{ reason: "cancelled", seq: 3 }])
    await stage.ack(appId, 3)
    expect(node.stats().state).toBe("ended")

    const second = new Stage(mode)
    const late = await second.node()
    late.node.status(1)
    late.node.result(2)
    await second.hello()
    await second.admit(late.appId, { only: "cancel" })
    expect(second.socket.of("message")).toMatchObject([{ header: { msg_type: "Result", seq: 2 } }])
  })
})
