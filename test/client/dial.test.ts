import { describe, expect, it } from "vitest"
import type { FakeSocket } from "./FakePlatform.ts"
import { Stage } from "./Stage.ts"

/** Without a ping interval known from before, milliseconds: the first pause of three. */
const UNKNOWN_MS = 5000

const ends = (stage: Stage): ReadonlyArray<FakeSocket["ended"]> => stage.platform.sockets.map(({ ended }) => ended)

/** A stage on which a node waits for `hello` on so many sockets at once. */
const dialled = async (dials: 1 | 2 | 3) => {
  const stage = new Stage()
  const { appId, node } = await stage.node()
  await stage.platform.advance((2 ** (dials - 1) - 1) * UNKNOWN_MS)
  expect(stage.connects).toBe(dials)
  return { stage, appId, node, sockets: [...stage.platform.sockets] }
}

describe("dialling a server that says nothing", () => {
  it("is done again after a pause, after twice that and after twice as long again; the first and the latest stay (D1)", async () => {
    const stage = new Stage()
    await stage.node()
    await stage.platform.advance(UNKNOWN_MS - 1)
    expect(ends(stage)).toEqual([null])
    await stage.platform.advance(1)
    expect(ends(stage)).toEqual([null, null])
    await stage.platform.advance(2 * UNKNOWN_MS - 1)
    expect(ends(stage)).toEqual([null, null])
    await stage.platform.advance(1)
    expect(ends(stage)).toEqual([null, "terminate", null])
    await stage.platform.advance(4 * UNKNOWN_MS)
    expect(ends(stage)).toEqual([null, "terminate", "terminate", null])
  })

  it.for([
    [10, 500],
    [1000, 500],
    [4000, 2000],
    [30_000, 10_000],
    [0, UNKNOWN_MS]
  ] as const)("in a session with a ping every %i ms it was learnt that %i ms are patience enough", async (ms) => {
    const [ping_interval_ms, patienceMs] = ms
    const stage = new Stage()
    const { appId } = await stage.attached({}, { ping_interval_ms })
    const lost = stage.socket
    lost.drop()
    await stage.until(() => stage.socket !== lost)
    await stage.platform.advance(patienceMs - 50)
    expect(stage.connects).toBe(2)
    await stage.platform.advance(50)
    expect(stage.connects).toBe(3)
    await stage.hello()
    await stage.admit(appId)
  })

  it("takes up to half as long again, by chance", async () => {
    const stage = new Stage()
    stage.platform.jitter = 1
    await stage.node()
    await stage.platform.advance(1.5 * UNKNOWN_MS - 1)
    expect(stage.connects).toBe(1)
    await stage.platform.advance(1)
    expect(stage.connects).toBe(2)
  })

  it.for([0, 1] as const)("of two sockets the one that speaks first is taken: number %i", async (winner) => {
    const { appId, node, sockets, stage } = await dialled(2)
    const [taken, other] = [sockets[winner]!, sockets[1 - winner]!]
    await stage.hello(taken)
    expect([taken.ended, other.ended]).toEqual([null, "terminate"])
    // What comes on the other one all the same is not listened to, nor is its end.
    await stage.hello(other)
    other.drop()
    await stage.admit(appId, {}, taken)
    await stage.platform.advance(20_000)
    expect(node.stats()).toMatchObject({ state: "attached", reconnects: 0 })
    expect(other.sent).toEqual([])
    expect(taken.of("register")).toHaveLength(1)
    expect(stage.connects).toBe(2)
  })

  it("takes no ping on a socket that was not taken for a sign of life", async () => {
    const { appId, node, sockets, stage } = await dialled(2)
    await stage.hello(sockets[0])
    await stage.admit(appId, { ping_interval_ms: 1000 }, sockets[0])
    await stage.platform.advance(2499)
    sockets[1]!.events.alive()
    await stage.platform.advance(10)
    expect(node.stats().state).toBe("connecting")
  })

  it("does not hear what is said on a socket that gave way to a later one", async () => {
    const { appId, node, sockets, stage } = await dialled(3)
    await stage.hello(sockets[1])
    expect(stage.asked(appId, sockets[1])).toBeUndefined()
    await stage.hello(sockets[2])
    await stage.admit(appId, {}, sockets[2])
    expect(node.stats().state).toBe("attached")
    expect(ends(stage)).toEqual(["terminate", "terminate", null])
  })

  it("brings all nodes of the link to the socket that has spoken", async () => {
    const stage = new Stage()
    const [first, second] = [await stage.node(), await stage.node()]
    await stage.platform.advance(UNKNOWN_MS)
    await stage.hello(stage.platform.sockets[1])
    for (const { appId } of [first, second]) await stage.admit(appId)
    expect([first, second].map(({ node }) => node.stats().state)).toEqual(["attached", "attached"])
    expect(stage.connects).toBe(2)
  })

  it("that refuses is something else: no second socket, the usual pause, and its word as the reason (D3)", async () => {
    const { node, sockets, stage } = await dialled(1)
    sockets[0]!.events.closed("connection refused")
    expect(node.stats()).toMatchObject({ state: "connecting", reason: "connection refused" })
    expect(stage.platform.timers).toBe(1)
    await stage.platform.advance(100)
    expect(stage.connects).toBe(2)
  })

  it.for([0, 1] as const)("goes on while one of two is left; number %i is refused first (D3)", async (refused) => {
    const { node, sockets, stage } = await dialled(2)
    sockets[refused]!.events.closed("refused")
    await stage.platform.advance(1000)
    expect(stage.connects).toBe(2)
    // The one that is left, whichever it is, stays beside the next.
    await stage.platform.advance(2 * UNKNOWN_MS)
    expect(stage.connects).toBe(3)
    expect(ends(stage)).toEqual([null, null, null])
    sockets[1 - refused]!.events.closed("refused as well")
    stage.socket.events.closed("refused for the third time")
    expect(node.stats().reason).toBe("refused for the third time")
    expect(stage.platform.timers).toBe(1)
  })

  it("ends with the link: nothing that comes too late is answered, and no timer is left", async () => {
    const { appId, node, sockets, stage } = await dialled(3)
    await stage.platform.advance(40_000 - 3 * UNKNOWN_MS)
    expect(ends(stage)).toEqual(["terminate", "terminate", "terminate", "terminate"])
    expect(node.stats().reason).toBe("no hello from the server in time")
    // That of the pause before the next attempt.
    expect(stage.platform.timers).toBe(1)
    for (const socket of sockets) await stage.hello(socket)
    expect(sockets.map(({ sent }) => sent.length)).toEqual([0, 0, 0])
    await stage.platform.advance(100)
    expect(stage.connects).toBe(5)
    await stage.hello()
    await stage.admit(appId)
    expect(node.stats().state).toBe("attached")
  })

  it("leaves no socket and no timer behind when the last node is shut down meanwhile", async () => {
    const { node, stage } = await dialled(2)
    const over = node.shutdown({ timeoutMs: 10 })
    await stage.platform.advance(10)
    expect(await over).toBe(false)
    expect(ends(stage)).toEqual(["close", "close"])
    expect(stage.platform).toMatchObject({ alive: 0, timers: 0 })
    await stage.platform.advance(60_000)
    expect(stage.connects).toBe(2)
  })

  it("gives the first socket up for the second where the platform connects one at a time", async () => {
    const stage = new Stage()
    stage.platform.connectsBeside = false
    const { appId, node } = await stage.node()
    await stage.platform.advance(3 * UNKNOWN_MS)
    expect(ends(stage)).toEqual(["terminate", "terminate", null])
    await stage.hello()
    await stage.admit(appId)
    expect(node.stats().state).toBe("attached")
  })
})
