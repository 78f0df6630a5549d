import { describe, expect, it } from "vitest"
import type { InitOptions } from "../../src/client/TrailsNode.ts"
import { MODES } from "./FakePlatform.ts"
import { LIMITS, Stage } from "./Stage.ts"

describe.each(MODES)("a link, cryptography %s", (mode) => {
  it("carries all nodes of one server, and one registration at a time until the first is accepted", async () => {
    const stage = new Stage(mode)
    const nodes = []
    for (let i = 0; i < 40; i++) nodes.push(await stage.node())
    expect(stage.connects).toBe(1)
    await stage.hello()
    expect(stage.socket.of("register")).toHaveLength(1)
    await stage.admit(nodes[0]!.appId)
    // The server then takes more at once, and so many more.
    expect(stage.socket.of("register")).toHaveLength(1 + 32)
    for (const { appId } of nodes.slice(1)) await stage.admit(appId)
    expect(nodes.map(({ node }) => node.stats().state)).toEqual(nodes.map(() => "attached"))
    expect(stage.connects).toBe(1)
  })

  it("goes on to the next when the first registration is refused", async () => {
    const stage = new Stage(mode)
    const [first, second, third] = [await stage.node(), await stage.node(), await stage.node()]
    await stage.hello()
    await stage.refuse(first.appId, { code: "key_mismatch" })
    expect(stage.socket.of("register").map(({ app_id }) => app_id)).toEqual([first.appId, second.appId])
    await stage.refuse(second.appId, { code: "registration_failed", retry_after_ms: 1000 })
    expect(stage.asked(third.appId)).toBeDefined()
  })

  it("is not used again by a node whose nonce on it is spent, while others stay", async () => {
    const stage = new Stage(mode)
    const [first, second] = [await stage.node(), await stage.node()]
    await stage.hello()
    await stage.admit(first.appId)
    await stage.admit(second.appId)
    const shared = stage.socket
    await stage.refuse(second.appId, { code: "bad_signature" })
    await stage.back(second.appId)
    expect(stage.connects).toBe(2)
    expect(shared.ended).toBeNull()
    expect(first.node.stats()).toMatchObject({ state: "attached", reconnects: 0 })
    expect(second.node.stats()).toMatchObject({ state: "attached", reconnects: 1 })
  })

  it("keeps at most max_in_flight frames under way, for all nodes together (K3)", async () => {
    const stage = new Stage(mode)
    const limits = { ...LIMITS, max_in_flight: 4 }
    const [first, second] = [await stage.node(), await stage.node()]
    await stage.hello()
    await stage.admit(first.appId, { limits })
    await stage.admit(second.appId, { limits })
    for (let i = 0; i < 6; i++) for (const { node } of [first, second]) node.status(i)
    await stage.platform.settle()
    expect(stage.socket.of("message").map(({ app_id, header }) => [app_id, header.seq])).toEqual([
      [first.appId, 1],
      [second.appId, 1],
      [first.appId, 2],
      [second.appId, 2]
    ])
    await stage.ack(first.appId, 2)
    expect(stage.socket.of("message")).toHaveLength(6)
  })

  it("keeps at most max_in_flight_bytes under way, and sends at least one", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached({}, { limits: { ...LIMITS, max_in_flight_bytes: 5000 } })
    for (let i = 0; i < 3; i++) node.status("x".repeat(9000))
    await stage.platform.settle()
    expect(stage.socket.seqs).toEqual([1])
    await stage.ack(appId, 1)
    expect(stage.socket.seqs).toEqual([1, 2])
  })

  it("gives the room of a node that leaves to those that stay", async () => {
    const stage = new Stage(mode)
    const limits = { ...LIMITS, max_in_flight: 4 }
    const [first, second, third] = [await stage.node(), await stage.node(), await stage.node()]
    await stage.hello()
    for (const { appId } of [first, second, third]) await stage.admit(appId, { limits })
    const shared = stage.socket
    for (let i = 0; i < 2; i++) for (const { node } of [first, second]) node.status(i)
    await stage.platform.settle()
    third.node.status("waits")
    await stage.platform.settle()
    expect(shared.of("message")).toHaveLength(4)
    // One comes back elsewhere, one gives up.
    await stage.say({ type: "error", code: "bad_signature", message: "-", app_id: first.appId, retryable: false })
    const over = second.node.shutdown({ timeoutMs: 10 })
    await stage.platform.advance(10)
    expect(await over).toBe(false)
    for (let i = 0; i < 3; i++) third.node.status(i)
    await stage.platform.settle()
    expect(shared.of("message").filter(({ app_id }) => app_id === third.appId)).toHaveLength(4)
  })

  it("is given up when the platform can't sign: nothing may follow what is missing", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    const { socket } = stage
    const sent = socket.sent.length
    stage.platform.signs = () => Promise.reject(new Error("the key store is closed"))
    node.status(1)
    node.status(2)
    await stage.platform.settle()
    expect(socket.sent).toHaveLength(sent)
    expect(socket.ended).toBe("terminate")
    stage.platform.signs = null
    await stage.back(appId)
    expect(stage.socket.seqs).toEqual([1, 2])
  })

  it("hands frames on in the order in which they came, and sends them in that of the calls (K2)", async () => {
    const stage = new Stage(mode)
    const { appId, node } = await stage.attached()
    for (let i = 1; i <= 200; i++) node.status(i)
    await stage.platform.settle()
    expect(stage.socket.seqs).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
    expect(stage.socket.of("message").map(({ payload }) => payload)).toEqual(stage.socket.seqs)
    await Promise.all(Array.from({ length: 200 }, (_, i) => stage.ack(appId, i + 1)))
    expect(node.stats()).toMatchObject({ acked: 200, waiting: 0 })
  })

  it("leaves the event loop to others after 2 ms of work", async () => {
    const stage = new Stage(mode)
    const { node } = await stage.attached()
    stage.platform.tick = 1
    for (let i = 0; i < 10; i++) node.status(i)
    await stage.platform.turn()
    const first = stage.socket.seqs.length
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThan(5)
    await stage.platform.settle()
    expect(stage.socket.seqs).toHaveLength(10)
  })

  it.for([
    [1000, 2500],
    [4000, 6000],
    [30_000, 40_000]
  ] as const)(
    "with a ping every %i ms it is given up when nothing was heard for %i ms, and not before; pings count",
    async ([pingMs, limitMs]) => {
      const stage = new Stage(mode)
      const { appId } = await stage.attached({}, { ping_interval_ms: pingMs })
      const socket = stage.socket
      for (let i = 0; i < 10; i++) {
        await stage.platform.advance(limitMs - 1)
        socket.events.alive()
      }
      await stage.platform.advance(limitMs - 1)
      expect(socket.ended).toBeNull()
      await stage.platform.advance(10)
      expect(socket.ended).toBe("terminate")
      await stage.back(appId)
    }
  )

  describe("before the first answer to a registration", () => {
    const greeted = async (helloPingMs: number | undefined, options: InitOptions = {}) => {
      const stage = new Stage(mode)
      await stage.node(options)
      await stage.hello(stage.socket, helloPingMs)
      return stage
    }

    it.for([
      { what: "as often as hello says", hello: 1000, asks: undefined, limitMs: 2500 },
      { what: "as seldom as the node wants it", hello: 1000, asks: 4000, limitMs: 6000 },
      { what: "as hello says, though the node will be pinged more often", hello: 4000, asks: 1000, limitMs: 6000 },
      { what: "never, and is waited for", hello: 0, asks: undefined, limitMs: 35_000 },
      { what: "nobody knows how often: an older server", hello: undefined, asks: undefined, limitMs: 35_000 }
    ])("pings $what: given up after $limitMs ms of silence", async ({ asks, hello, limitMs }) => {
      const stage = await greeted(hello, asks === undefined ? {} : { pingIntervalMs: asks })
      const socket = stage.socket
      await stage.platform.advance(limitMs - 10)
      expect(socket.ended).toBeNull()
      await stage.platform.advance(20)
      expect(socket.ended).not.toBeNull()
    })

    it("a server that pings is waited for, however long it takes to store the registration", async () => {
      const stage = await greeted(1000)
      const socket = stage.socket
      for (let second = 0; second < 34; second++) {
        await stage.platform.advance(1000)
        socket.events.alive()
      }
      expect(socket.ended).toBeNull()
    })

    it("what the first answer grants counts from then on, also when it is less, or nothing", async () => {
      const stage = await greeted(4000)
      const [appId] = stage.socket.frames.map((frame) => String(frame["app_id"]))
      await stage.admit(appId!, { ping_interval_ms: 1000 })
      const socket = stage.socket
      await stage.platform.advance(2510)
      expect(socket.ended).toBe("terminate")
      const quiet = await greeted(1000)
      const [other] = quiet.socket.frames.map((frame) => String(frame["app_id"]))
      await quiet.admit(other!, { ping_interval_ms: 0 })
      await quiet.platform.advance(60_000)
      expect(quiet.socket.ended).toBeNull()
    })
  })

  it("closes with the last node, not before", async () => {
    const stage = new Stage(mode)
    const [first, second] = [await stage.node(), await stage.node()]
    await stage.hello()
    for (const { appId } of [first, second]) await stage.admit(appId)
    const [overFirst, overSecond] = [first.node.shutdown(), second.node.shutdown()]
    await stage.platform.settle()
    await stage.ack(first.appId, 1)
    expect(await overFirst).toBe(true)
    expect(stage.socket.ended).toBeNull()
    await stage.ack(second.appId, 1)
    expect(await overSecond).toBe(true)
    expect(stage.socket.ended).toBe("close")
    expect(stage.platform).toMatchObject({ alive: 0, timers: 0 })
  })
})
