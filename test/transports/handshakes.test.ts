import { connect, type Socket } from "node:net"
import { afterEach, describe, expect, it, vi } from "vitest"
import { Handshakes, type Resting, type Waiter } from "../../src/transports/Handshakes.ts"
import { SOCKET_LIMITS } from "../../src/transports/SocketLimits.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("admission of handshakes", () => {
  const make = (changes: object = {}) => {
    let now = 0
    const order: Array<string> = []
    const handshakes = new Handshakes(
      {
        ...SOCKET_LIMITS,
        handshakes: 2,
        handshakeQueue: 10,
        handshakesPerTurn: 100,
        handshakeWaitMs: 1000,
        crowdTailMs: 1000,
        ...changes
      },
      () => now
    )
    const waiter = (name: string): Waiter => ({
      admitted: () => order.push(name),
      refused: () => order.push(`${name} refused`)
    })
    return { handshakes, order, waiter, pass: (ms: number) => void (now += ms) }
  }

  it("places are bounded (H1), waiters come in order, registrations first (H2)", async () => {
    const { handshakes, order, waiter } = make()
    for (const name of ["a", "b", "c", "d"]) handshakes.enter(waiter(name), "upgrade")
    handshakes.enter(waiter("r"), "registration")
    expect(order).toEqual(["a", "b"])
    expect(handshakes).toMatchObject({ held: 2, waiting: 3 })
    handshakes.leave()
    await turn()
    expect(order).toEqual(["a", "b", "r"])
    handshakes.leave()
    handshakes.leave()
    await turn()
    expect(order).toEqual(["a", "b", "r", "c", "d"])
    expect(handshakes).toMatchObject({ held: 2, waiting: 0 })
  })

  it("at most so many in one turn of the event loop (H3)", async () => {
    const { handshakes, order, waiter } = make({ handshakes: 100, handshakesPerTurn: 3 })
    for (let i = 0; i < 8; i++) handshakes.enter(waiter(String(i)), "upgrade")
    expect(order).toHaveLength(3)
    await turn()
    expect(order).toHaveLength(6)
    await turn()
    expect(order).toHaveLength(8)
  })

  it("a full queue takes nobody, and nobody waits too long (H4)", async () => {
    const { handshakes, order, pass, waiter } = make({ handshakes: 0, handshakeQueue: 2 })
    expect(handshakes.enter(waiter("a"), "upgrade")).toBe(true)
    pass(600)
    expect(handshakes.enter(waiter("b"), "upgrade")).toBe(true)
    expect(handshakes.enter(waiter("c"), "upgrade")).toBe(false)
    pass(500)
    handshakes.sweep()
    expect(order).toEqual(["a refused"])
    handshakes.close()
    expect(order).toEqual(["a refused", "b refused"])
    expect(handshakes.waiting).toBe(0)
  })

  const resting = (order: Array<string>, name: string): Waiter & Resting => ({
    admitted: () => order.push(name),
    refused: () => order.push(`${name} refused`),
    reclaimed: () => order.push(`${name} reclaimed`)
  })

  it("an upgraded socket that says nothing keeps its place for long, and for a moment when others wait (H5)", async () => {
    const { handshakes, order, pass } = make({ handshakes: 1, handshakeIdleMs: 1000, handshakeCrowdedMs: 200 })
    const first = resting(order, "first")
    handshakes.enter(first, "upgrade")
    handshakes.rest(first)
    pass(900)
    handshakes.sweep()
    expect(order).toEqual(["first"])
    expect(handshakes.held).toBe(1)
    const second = resting(order, "second")
    handshakes.enter(second, "upgrade")
    await turn()
    expect(order).toEqual(["first", "first reclaimed", "second"])
    handshakes.rest(second)
    const third = resting(order, "third")
    handshakes.enter(third, "upgrade")
    pass(150)
    handshakes.sweep()
    await turn()
    expect(order).toHaveLength(3)
    pass(100)
    handshakes.sweep()
    await turn()
    expect(order.slice(3)).toEqual(["second reclaimed", "third"])
    handshakes.rest(third)
    // It has sent something: its place is its own until it leaves.
    handshakes.stir(third)
    handshakes.enter(resting(order, "fourth"), "upgrade")
    pass(900)
    handshakes.sweep()
    await turn()
    expect(order).toHaveLength(5)
    expect(handshakes).toMatchObject({ held: 1, waiting: 1 })
  })

  it("an upgraded socket that says nothing for too long gives its place back, whether or not others wait (H5)", () => {
    const { handshakes, order, pass } = make({ handshakeIdleMs: 1000 })
    const idle = resting(order, "idle")
    handshakes.enter(idle, "upgrade")
    handshakes.rest(idle)
    pass(1000)
    handshakes.sweep()
    expect(order).toEqual(["idle", "idle reclaimed"])
    expect(handshakes.held).toBe(0)
  })

  it("a registration that waits holds verdicts back as long as it waits (H6)", () => {
    const { handshakes, pass, waiter } = make({ handshakes: 0, verdictHoldMs: 1000 })
    handshakes.enter(waiter("r"), "registration")
    for (let i = 0; i < 100; i++) {
      pass(100)
      handshakes.sweep()
      expect(handshakes.comingBack).toBe(1)
    }
  })

  it("upgrades that wait hold verdicts back for a bounded time, and again once the crowd has gone (H6)", () => {
    const bounds = { crowdTailMs: 300, verdictHoldMs: 2000, handshakeWaitMs: 60_000 }
    const { handshakes, pass, waiter } = make({ handshakes: 0, ...bounds })
    const heldFor = (ms: number) => {
      let held = 0
      for (let at = 0; at < ms; at += 50) {
        if (handshakes.comingBack > 0) held += 50
        pass(50)
        handshakes.sweep()
      }
      return held
    }
    expect(heldFor(500)).toBe(0)
    const crowd = waiter("a")
    handshakes.enter(crowd, "upgrade")
    expect(heldFor(20_000)).toBe(2000)
    handshakes.forget(crowd)
    // The last of the crowd would have crowdTailMs; what was spent is not regained by that.
    expect(heldFor(1000)).toBe(0)
    handshakes.enter(waiter("b"), "upgrade")
    expect(heldFor(20_000)).toBe(700)
  })

  it("800 upgrades a second that say nothing keep nobody waiting, and no verdict (H5, H6)", async () => {
    const { handshakes, pass } = make({ ...SOCKET_LIMITS })
    let admitted = 0
    for (let at = 0; at < 10_000; at += 10) {
      for (let i = 0; i < 8; i++) {
        const stranger = {
          admitted: () => {
            admitted++
            handshakes.rest(stranger)
          },
          refused: () => {},
          reclaimed: () => {}
        }
        handshakes.enter(stranger, "upgrade")
      }
      await turn()
      pass(10)
      if (at % 250 === 0) handshakes.sweep()
      expect(handshakes.comingBack).toBe(0)
    }
    expect(admitted).toBe(8000)
  })

  it("nodes that come back in a crowd hold verdicts back, since more of them wait in the kernel (H6)", () => {
    const { handshakes, pass } = make({ handshakes: 1000 })
    for (let i = 0; i < 49; i++) handshakes.noteReturn()
    expect(handshakes.comingBack).toBe(0)
    handshakes.noteReturn()
    expect(handshakes.comingBack).toBe(1)
    pass(500)
    expect(handshakes.comingBack).toBe(1)
    pass(499)
    expect(handshakes.comingBack).toBe(1)
    pass(1)
    expect(handshakes.comingBack).toBe(0)
  })

  it("nodes that go in a crowd hold verdicts back; as many that go one by one do not (H6)", () => {
    const { handshakes, pass } = make()
    const isHeld = () => handshakes.comingBack > 0
    for (let i = 0; i < 499; i++) handshakes.noteLoss()
    expect(isHeld()).toBe(false)
    pass(500)
    for (let i = 0; i < 499; i++) handshakes.noteLoss()
    expect(isHeld()).toBe(false)
    handshakes.noteLoss()
    expect(isHeld()).toBe(true)
    pass(700)
    expect(isHeld()).toBe(true)
    pass(300)
    expect(isHeld()).toBe(false)
  })

  it("the more nodes go in a crowd, the longer verdicts wait for them, within the bound (H6)", () => {
    const heldFor = (nodes: number) => {
      const { handshakes, pass } = make({ verdictHoldMs: 30_000 })
      for (let i = 0; i < nodes; i++) handshakes.noteLoss()
      let held = 0
      for (; handshakes.comingBack > 0; held += 250) pass(250)
      return held
    }
    expect(heldFor(499)).toBe(0)
    expect(heldFor(500)).toBe(1000)
    expect(heldFor(10_000)).toBe(20_000)
    expect(heldFor(40_000)).toBe(30_000)
  })

  it("after a standstill of the loop verdicts wait: nobody who came meanwhile has been seen (H6)", () => {
    const { handshakes, pass } = make()
    pass(750)
    expect(handshakes.comingBack).toBe(0)
    pass(751)
    expect(handshakes.comingBack).toBe(1)
    for (let i = 0; i < 4; i++) {
      pass(249)
      expect(handshakes.comingBack).toBe(1)
    }
    pass(4)
    expect(handshakes.comingBack).toBe(0)
  })

  it("the last of a crowd have a moment to register before verdicts go on (H6)", async () => {
    const { handshakes, order, pass, waiter } = make({ handshakes: 1, crowdTailMs: 1000, handshakeCrowdedMs: 200 })
    handshakes.enter(waiter("a"), "upgrade")
    handshakes.enter(waiter("b"), "upgrade")
    pass(500)
    handshakes.leave()
    await turn()
    expect(order).toEqual(["a", "b"])
    expect(handshakes.waiting).toBe(0)
    expect(handshakes.comingBack).toBe(1)
    pass(500)
    expect(handshakes.comingBack).toBe(1)
    pass(499)
    expect(handshakes.comingBack).toBe(1)
    pass(1)
    expect(handshakes.comingBack).toBe(0)
  })
})

describe("handshakes over sockets", () => {
  let transport: Transport
  afterEach(async () => {
    vi.restoreAllMocks()
    await transport.stop()
  })

  it("no place is left → upgrades wait and are counted; a place becomes free → they go on", async () => {
    transport = await startTransport({}, { handshakes: 1, handshakeIdleMs: 60_000 })
    transport.actors.admits = () => null
    const first = await Peer.connect(transport)
    first.send(first.registerFrame())
    await waitUntil("the question", () => transport.actors.pending.length === 1)
    const second = Wire.open(transport.url)
    await waitUntil("one waits", () => transport.sockets.stats().handshakesWaiting === 1)
    await waitUntil("it has waited for long", () => transport.sockets.waiting() === 1)
    transport.actors.accept(transport.actors.pending[0]!)
    await second
    expect(transport.sockets.stats().handshakesWaiting).toBe(0)
  })

  it("a socket that sends nothing gives its place up soon, and gets one again when it registers", async () => {
    transport = await startTransport({}, { handshakes: 1, handshakeIdleMs: 100, sweepMs: 20 })
    const slow = await Peer.connect(transport)
    const quick = await Peer.connect(transport)
    expect(await quick.register()).toMatchObject({ type: "registered" })
    expect(await slow.register()).toMatchObject({ type: "registered" })
    expect(transport.sockets.stats()).toMatchObject({ handshakesHeld: 0, handshakesWaiting: 0 })
  })

  it("a socket that sends nothing loses its place once another waits, and registers later all the same (H5)", async () => {
    transport = await startTransport({}, { handshakes: 1, handshakeIdleMs: 60_000, sweepMs: 20 })
    const silent = await Peer.connect(transport)
    const node = await Peer.connect(transport)
    expect(await node.register()).toMatchObject({ type: "registered" })
    expect(await silent.register()).toMatchObject({ type: "registered" })
    expect(transport.sockets.stats()).toMatchObject({ handshakesHeld: 0, handshakesWaiting: 0 })
  })

  it("whoever goes away gives back its place, waiting or not", async () => {
    transport = await startTransport({}, { handshakes: 1, handshakeIdleMs: 60_000 })
    const first = await Wire.open(transport.url)
    const gone = Wire.open(transport.url, { withinMs: 100 })
    await expect(gone).rejects.toThrow(/handshake|closed|timed out/i)
    await waitUntil("nobody waits", () => transport.sockets.stats().handshakesWaiting === 0)
    // Half-closed: it would still read an answer, but nobody upgrades such a socket.
    const half = connect(transport.port, "127.0.0.1")
    half.end(
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await new Promise((resolve) => half.once("close", resolve))
    expect(transport.sockets.stats().handshakesWaiting).toBe(0)
    first.terminate()
    await Wire.open(transport.url)
    expect(transport.sockets.stats().handshakesHeld).toBe(1)
  })

  it("waited too long → 503", async () => {
    transport = await startTransport({}, { handshakes: 1, handshakeIdleMs: 60_000, handshakeWaitMs: 100, sweepMs: 20 })
    await Wire.open(transport.url)
    await expect(Wire.open(transport.url)).rejects.toThrow(/503/)
  })

  it("every refused, lost or answered registration gives its place back", async () => {
    transport = await startTransport()
    const bad = await Peer.connect(transport)
    await bad.register({ nonce: Buffer.alloc(32).toString("base64") })
    await bad.register({ info: "AAAA" })
    transport.actors.admits = () => null
    const lost = await Peer.connect(transport)
    lost.send(lost.registerFrame())
    await waitUntil("the question", () => transport.actors.pending.length === 1)
    lost.wire.terminate()
    await waitUntil("the loss", () => transport.actors.losses().length === 1)
    transport.actors.accept(transport.actors.pending[0]!)
    bad.wire.terminate()
    await waitUntil("no place is held", () => transport.sockets.stats().handshakesHeld === 0)
  })

  it("500 clients at once, 20 places, an actor system that answers late: all wait their turn, all are registered", async () => {
    transport = await startTransport({}, { handshakes: 20 })
    const { actors } = transport
    let atOnce = 0
    actors.admits = () => {
      atOnce = Math.max(atOnce, actors.pending.length + 1)
      return null
    }
    const peers = Promise.all(
      Array.from({ length: 500 }, async () => {
        const peer = await Peer.connect(transport)
        await peer.register()
        return peer
      })
    )
    await waitUntil("a queue", () => actors.pending.length === 20 && transport.sockets.stats().handshakesWaiting > 100)
    const answering = setInterval(() => {
      for (const message of actors.pending.splice(0, 10)) actors.accept(message)
    }, 1)
    for (const peer of await peers) {
      expect(peer.registered).toBeDefined()
      peer.wire.terminate()
    }
    clearInterval(answering)
    expect(atOnce).toBe(20)
    expect(transport.sockets.stats()).toMatchObject({ handshakesHeld: 0, handshakesWaiting: 0 })
  }, 60_000)

  it("who comes back, and whose socket goes, is counted; who begins, and strangers, are not (H6)", async () => {
    const returns = vi.spyOn(Handshakes.prototype, "noteReturn")
    const losses = vi.spyOn(Handshakes.prototype, "noteLoss")
    transport = await startTransport()
    const stranger = await Wire.open(transport.url)
    const born = await Peer.connect(transport)
    await born.register()
    expect(returns).toHaveBeenCalledTimes(0)
    const back = await Peer.connect(transport)
    await back.attach(back.reRegisterFrame())
    expect(returns).toHaveBeenCalledTimes(1)
    const reset = await Peer.connect(transport)
    await reset.register()
    const polite = await Peer.connect(transport)
    await polite.register()
    stranger.terminate()
    born.wire.terminate()
    ;(reset.wire.socket as unknown as { readonly _socket: Socket })._socket.resetAndDestroy()
    await polite.wire.close()
    await waitUntil("all but one have gone", () => transport.sockets.stats().sockets === 1)
    expect(losses).toHaveBeenCalledTimes(3)
    await transport.drain()
    expect(losses).toHaveBeenCalledTimes(3)
  })
})
