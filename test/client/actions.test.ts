import { describe, expect, it } from "vitest"
import type { StandardSchema } from "../../src/client/StandardSchema.ts"
import { answers, control } from "./controls.ts"
import { MODES } from "./FakePlatform.ts"
import { Stage } from "./Stage.ts"

const pause = (stage: Stage, milliseconds: number) => stage.platform.advance(milliseconds)

const answersById = (stage: Stage) =>
  answers(stage).map(({ ack, correlation_id, error, result }) => [correlation_id, ack, ack ? result : error])

describe.each(MODES)("actions, cryptography %s", (mode) => {
  it("a handler gets payload and context, and its value is the answer", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    const seen: Array<unknown> = []
    node.on("set_rate", async (payload, context) => {
      seen.push(payload, context)
      return { before: 5 }
    })
    await control(stage, { action: "set_rate", payload: { hz: 10 } })
    expect(answersById(stage)).toEqual([["c-1", true, { before: 5 }]])
    expect(seen).toMatchObject([{ hz: 10 }, { action: "set_rate", correlationId: "c-1", issuedBy: "admin" }])
    await control(stage, { action: "set_rate", payload: { hz: 10 } })
    expect(seen).toHaveLength(2)
    expect(answersById(stage)).toHaveLength(2)
  })

  it("they run one after the other, in the order of the commands; a cancel waits for none of them (C3)", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    const seen: Array<string> = []
    let go = (): void => {}
    node.on("slow", async () => {
      seen.push("slow")
      await new Promise<void>((resolve) => (go = resolve))
      seen.push("slow is through")
    })
    node.on("quick", () => void seen.push("quick"))
    node.onCancel(() => void seen.push("cancel"))
    await control(stage, { action: "slow", correlation_id: "a" })
    await control(stage, { action: "quick", correlation_id: "b" })
    expect(seen).toEqual(["slow"])
    await control(stage, { correlation_id: "c" })
    expect(seen).toEqual(["slow", "cancel"])
    go()
    await stage.platform.settle()
    expect(seen).toEqual(["slow", "cancel", "slow is through", "quick"])
  })

  it("one whose time is over answers so, is told by its signal, and gives way to the next", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    let signal: AbortSignal | null = null
    node.on("hang", (_payload, context) => new Promise(() => (signal = context.signal)), { timeoutMs: 300 })
    node.on("next", () => 1)
    await control(stage, { action: "hang", correlation_id: "a" })
    await control(stage, { action: "next", correlation_id: "b" })
    await pause(stage, 299)
    expect(answersById(stage)).toEqual([])
    await pause(stage, 2)
    expect(answersById(stage)).toEqual([
      ["a", false, "timeout: its handler gave no answer within 300 ms"],
      ["b", true, 1]
    ])
    expect(signal!.aborted).toBe(true)
  })

  it("what has expired while it waited for its turn is not run", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    let isRun = false
    node.on("hang", () => new Promise(() => {}), { timeoutMs: 300 })
    node.on("late", () => void (isRun = true))
    await control(stage, { action: "hang", correlation_id: "a" })
    await control(stage, { action: "late", correlation_id: "b", expires_at: stage.platform.wallClock() + 200 })
    await pause(stage, 400)
    expect(isRun).toBe(false)
    expect(answersById(stage).map(([id]) => id)).toEqual(["a"])
  })

  it("a payload that its schema does not take is refused with what is wrong; one that it takes comes as it makes it", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    const seen: Array<number> = []
    const schema = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: async (value: unknown) =>
          typeof value === "number" ? { value: value * 2 } : { issues: [{ message: "must be a number", path: ["hz"] }] }
      }
    }
    const forms: ReadonlyArray<StandardSchema<number>> = [schema, Object.assign(() => "called", schema)]
    for (const [index, form] of forms.entries()) {
      node.on("set", form, (hz) => void seen.push(hz))
      await control(stage, { action: "set", correlation_id: `a${index}`, payload: "much" })
      await control(stage, { action: "set", correlation_id: `b${index}`, payload: 21 })
    }
    expect(answersById(stage)).toEqual([
      ["a0", false, "invalid_payload: hz: must be a number"],
      ["b0", true, null],
      ["a1", false, "invalid_payload: hz: must be a number"],
      ["b1", true, null]
    ])
    expect(seen).toEqual([42, 42])
    ;(node.on as (...given: ReadonlyArray<unknown>) => unknown)("bare", forms[1])
    expect(stage.platform.warnings.join()).toContain("bare has no handler")
  })

  it.each<[string, () => unknown, RegExp]>([
    [
      "throws",
      () => {
        throw new Error("no such table")
      },
      /^handler_failed: no such table$/
    ],
    ["gives what can't be written", () => 1n, /^bad_result: /],
    ["gives more than a frame takes", () => "x".repeat(2_000_000), /^bad_result: 2000002 bytes/]
  ])("a handler that %s is answered as a failure, and the node goes on", async (_, handler, expected) => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    node.on("act", handler)
    await control(stage, { action: "act" })
    expect(answersById(stage)).toEqual([["c-1", false, expect.stringMatching(expected)]])
    expect(node.status(1).queued).toBe(true)
  })

  it("a handler can be taken off, and what is none is told", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    const off = node.on("act", () => 1)
    node.on("act", () => 2)
    off()
    await control(stage, { action: "act", correlation_id: "a" })
    node.on("other", () => 3)()
    await control(stage, { action: "other", correlation_id: "b" })
    expect(answersById(stage)).toEqual([
      ["a", true, 2],
      ["b", false, "unknown_action"]
    ])
    node.on("cancel", () => 1)
    node.on("", () => 1)
    node.on("act", {} as never, () => 1)
    expect(stage.platform.warnings.join("\n")).toMatch(/onCancel[^]*1 to 256 bytes[^]*Standard Schema/)
  })

  it.each<[string, unknown, number | undefined, string]>([
    ["a part of a millisecond", 1500.2, 1501, "^$"],
    ["more than the protocol has", 1e12, 604_800_000, "0 to 604800000"],
    ["no number", Number.NaN, undefined, "taken as none"],
    ["a negative one", -1, undefined, "taken as none"],
    ["a text", "5s", undefined, "taken as none"],
    ["null", null, undefined, "^$"]
  ])("a grace that is %s costs no node its registration", async (_, given, sent, warning) => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached({ cancelGraceMs: given as number })
    expect(stage.asked(appId)?.["cancel_grace_ms"]).toBe(sent)
    expect(stage.platform.warnings.join()).toMatch(new RegExp(warning))
    node.on("act", () => 1)
    node.onCancel(() => 1, { graceMs: given as number })
    await stage.platform.settle()
    expect(stage.socket.of("capabilities").at(-1)?.["cancel_grace_ms"]).toBe(sent)
  })

  it("a cancel handler that is none is told; no options are none", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached({ onCancel: "stop" as never })
    node.onCancel(undefined as never)
    expect(stage.platform.warnings).toHaveLength(2)
    node.onCancel(() => "stopped", null as never)
    await control(stage)
    expect(answersById(stage)).toEqual([["c-1", true, "stopped"]])
  })

  it("more actions than the protocol tells are all answered, and the first are told", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node({ capabilities: ["old"] })
    for (let n = 0; n < 128; n++) node.on(`act-${n}`, () => n)
    await stage.hello()
    expect(stage.asked(appId)?.["capabilities"]).toHaveLength(128)
    expect(stage.platform.warnings).toEqual([expect.stringContaining("act-127 is answered")])
    await stage.admit(appId)
    await control(stage, { action: "act-127" })
    expect(answersById(stage)).toEqual([["c-1", true, 127]])
  })

  it.each([0, -1, Number.NaN, "5s"])("a time-out of %j is told, and its handler not set", async (timeoutMs) => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    node.on("act", () => 1, { timeoutMs: timeoutMs as number })
    expect(stage.platform.warnings.join()).toContain("milliseconds above 0")
    await control(stage, { action: "act" })
    expect(answersById(stage)).toEqual([["c-1", false, "unknown_action"]])
  })

  it("a bad_frame that can't be about the subscription to children is told, and nothing is sent because of it", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    await stage.refuse(appId, { code: "bad_frame" })
    const child = await node.createChild("watched")
    child.onEvent(() => {})
    await stage.refuse(appId, { code: "bad_frame" })
    await stage.platform.advance(10_000)
    expect(stage.platform.warnings.join()).toMatch(/bad_frame: [^]*bad_frame: /)
    expect(stage.socket.of("subscribe")).toHaveLength(1)
  })

  it("a command that waited finds the handler that there is at its turn", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    let go = (): void => {}
    node.on("slow", () => new Promise<void>((resolve) => (go = resolve)))
    const off = node.on("gone", () => "never")
    node.on("replaced", () => "old")
    for (const [index, action] of ["slow", "gone", "replaced"].entries())
      await control(stage, { action, correlation_id: `${index}` })
    off()
    node.on("replaced", () => "new")
    go()
    await stage.platform.settle()
    expect(answersById(stage)).toEqual([
      ["0", true, null],
      ["1", false, "unknown_action"],
      ["2", true, "new"]
    ])
  })

  it("what it takes is told with the registration, and later changes at once and in each session", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.node({ capabilities: ["old"], cancelGraceMs: 700 })
    node.on("early", () => 1)
    await stage.hello()
    expect(stage.asked(appId)).toMatchObject({ capabilities: ["old", "early"], cancel_grace_ms: 700 })
    await stage.admit(appId)
    expect(stage.socket.of("capabilities")).toEqual([])
    node.on("late", () => 1)
    node.onCancel(() => 1, { graceMs: 900 })
    await stage.platform.settle()
    const told = { app_id: appId, incarnation: 1, capabilities: ["old", "early", "late"], cancel_grace_ms: 900 }
    expect(stage.socket.of("capabilities")).toMatchObject([told])
    const before = stage.socket
    before.events.closed("test")
    await stage.again(before)
    await stage.admit(appId)
    expect(stage.socket.of("capabilities")).toMatchObject([told])
  })

  it("an action that is taken off is told, in the session in which it was set and in the next one", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    const told = () => stage.socket.of("capabilities").map(({ capabilities }) => capabilities)
    const off = node.on("act", () => 1)
    await stage.platform.settle()
    off()
    await stage.platform.settle()
    node.on("act", () => 1)()
    await stage.platform.settle()
    expect(told()).toEqual([["act"], []])
    // The last word may have been lost with its session, of which nothing but "unavailable" may have come.
    await stage.refuse(appId, { code: "unavailable", retry_after_ms: 100 })
    await stage.back(appId)
    expect(told()).toEqual([[]])
    node.on("other", () => 1)
    await stage.platform.settle()
    expect(told()).toEqual([[], ["other"]])
  })

  it("a Result from a cancel hook bears its correlation id and goes before the answer, also from a full outbox", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached(
      {},
      { limits: { max_frame: 1_048_576, max_in_flight: 1, max_in_flight_bytes: 8_388_608 } }
    )
    node.status("under way")
    await stage.platform.settle()
    node.onCancel(() => void node.result("half"))
    await control(stage)
    expect(answers(stage)).toEqual([])
    await stage.ack(appId, 1)
    const order = stage.socket.frames.map(({ type }) => type).slice(-3)
    expect(order).toEqual(["message", "message", "control_result"])
    expect(stage.socket.of("message").at(-1)).toMatchObject({
      payload: "half",
      header: { msg_type: "Result", correlation_id: "c-1" }
    })
  })

  it("who shuts down while the answer waits behind his reports, or has nobody to hear it, is cancelled all the same", async () => {
    const limits = { max_frame: 1_048_576, max_in_flight: 1, max_in_flight_bytes: 8_388_608 }
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached({ onCancel: () => null }, { limits })
    for (const step of [1, 2, 3]) node.status(step)
    await stage.platform.settle()
    await control(stage)
    void node.shutdown()
    await stage.platform.settle()
    for (const seq of [1, 2, 3]) await stage.ack(appId, seq)
    expect(stage.socket.of("disconnect")).toMatchObject([{ reason: "cancelled" }])
    const order = stage.socket.frames.map(({ type }) => type)
    expect(order.indexOf("control_result")).toBeGreaterThan(0)
    expect(order.indexOf("control_result")).toBeLessThan(order.indexOf("disconnect"))

    const away = new Stage(mode)
    const lonely = await away.attached({}, {})
    let stop = (): void => {}
    lonely.node.onCancel(() => new Promise<void>((resolve) => (stop = resolve)))
    await control(away)
    lonely.node.status("kept")
    const lost = away.socket
    lost.events.closed("test")
    stop()
    await away.platform.settle()
    void lonely.node.shutdown({ timeoutMs: 60_000 })
    await away.again(lost)
    await away.admit(lonely.appId)
    await away.ack(lonely.appId, 1)
    expect(away.socket.of("disconnect")).toMatchObject([{ reason: "cancelled" }])
  })
})
