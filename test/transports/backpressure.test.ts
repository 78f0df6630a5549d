import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { seeded } from "../harness/Random.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

describe("order and back-pressure", () => {
  let transport: Transport
  const restart = async (...args: Parameters<typeof startTransport>) => {
    await transport.stop()
    transport = await startTransport(...args)
  }
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  const registered = async (signed = false) => {
    const peer = await Peer.connect(transport, { signed })
    expect(await peer.register()).toMatchObject({ type: "registered" })
    return peer
  }

  it("frames reach their actor in the order of the socket although verification completes in another (N1)", async () => {
    const peer = await registered(true)
    const random = seeded(3)
    // Large and small frames alternate: the small ones verify first.
    for (let i = 0; i < 600; i++) peer.status("x".repeat(random.int(10) === 0 ? 200_000 : 10))
    await waitUntil("all acks", () => peer.acks.length === 600, { withinMs: 20_000 })
    expect(transport.actors.seqs(peer.appId)).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
  })

  it("bad frames among good ones: the good ones keep their order, the answers too", async () => {
    const peer = await registered(true)
    for (let i = 0; i < 100; i++) peer.send(peer.statusFrame("x", i % 3 === 0 ? { bytes: "*" } : {}))
    await waitUntil("all answers", () => peer.received.length === 101)
    const answered = peer.frames
      .slice(1)
      .map((frame) => (frame.type === "ack" || frame.type === "error" ? frame.seq : null))
    expect(answered).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    expect(peer.errors.every((error) => error.code === "bad_frame")).toBe(true)
    expect(transport.actors.of("Data")).toHaveLength(66)
  })

  it("the window of messages is full → reading stops; settled to half → it goes on (P17)", async () => {
    await restart({}, { inFlight: 100 })
    const held: Array<() => void> = []
    transport.actors.receives = (message) => void held.push(() => transport.actors.ack(message))
    const peer = await registered()
    for (let i = 0; i < 20_000; i++) peer.status("x".repeat(200))
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    // One chunk that had been read already may follow.
    const seen = () => transport.actors.of("Data").length
    await waitUntil("the reading to stop", async () => {
      const before = seen()
      await new Promise((resolve) => setTimeout(resolve, 50))
      return seen() === before
    })
    const stopped = seen()
    expect(stopped).toBeLessThan(100 + (64 * 1024) / 200)
    for (const settle of held.splice(0, stopped - 51)) settle()
    expect(transport.sockets.stats().paused).toBe(1)
    for (const settle of held.splice(0)) settle()
    await waitUntil("it goes on", () => seen() > stopped)
    transport.actors.receives = (message) => transport.actors.ack(message)
    await waitUntil(
      "everything has come",
      () => {
        for (const settle of held.splice(0)) settle()
        return peer.acks.length === 20_000
      },
      { withinMs: 20_000 }
    )
    expect(transport.actors.seqs(peer.appId)).toEqual(Array.from({ length: 20_000 }, (_, i) => i + 1))
    expect(transport.sockets.stats()).toMatchObject({ paused: 0, bytesInFlight: 0 })
  })

  it("the window of bytes is full → reading stops", async () => {
    await restart({}, { inFlightBytes: 100_000 })
    const held: Array<() => void> = []
    transport.actors.receives = (message) => void held.push(() => transport.actors.ack(message))
    const peer = await registered()
    for (let i = 0; i < 50; i++) peer.status("x".repeat(20_000))
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    expect(transport.sockets.stats().bytesInFlight).toBeLessThan(100_000 + 64 * 1024 + 20_000)
    await waitUntil("everything has come", () => {
      for (const settle of held.splice(0)) settle()
      return peer.acks.length === 50
    })
  })

  it("the process's budget is spent by one socket → the others stop too, and go on when it settles", async () => {
    await restart({}, { processBytes: 200_000 })
    const held: Array<() => void> = []
    transport.actors.receives = (message) => void held.push(() => transport.actors.ack(message))
    const [greedy, modest] = [await registered(), await registered()]
    for (let i = 0; i < 30; i++) greedy.status("x".repeat(20_000))
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    modest.status()
    await waitUntil("the other's pause", () => transport.sockets.stats().paused === 2)
    await waitUntil("all acks", () => {
      for (const settle of held.splice(0)) settle()
      return greedy.acks.length === 30 && modest.acks.length === 1
    })
    expect(transport.sockets.stats()).toMatchObject({ paused: 0, bytesInFlight: 0 })
  })

  it("a full mailbox → reading stops, nothing is dropped, order is kept, neighbours on other sockets go on (N2)", async () => {
    const [peer, neighbour] = [await registered(), await registered()]
    let full = true
    transport.actors.takes = (appId, message) => !(full && appId === peer.appId && message._tag === "Data")
    for (let i = 0; i < 300; i++) peer.status()
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    neighbour.status()
    await waitUntil("the neighbour's ack", () => neighbour.acks.length === 1)
    expect(peer.acks).toEqual([])
    full = false
    await waitUntil("all acks", () => peer.acks.length === 300)
    expect(transport.actors.seqs(peer.appId)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
    expect(transport.sockets.stats().paused).toBe(0)
  })

  it("frames, then FIN: the loss reaches the actor after every frame, also through a full mailbox (N3)", async () => {
    const peer = await registered(true)
    let full = true
    transport.actors.takes = (_, message) => !(full && message._tag === "Data")
    for (let i = 0; i < 50; i++) peer.status()
    await peer.wire.close()
    await waitUntil("the socket to be gone", () => transport.sockets.stats().sockets === 0)
    expect(transport.actors.losses()).toEqual([])
    full = false
    await waitUntil("the loss", () => transport.actors.losses().length === 1)
    expect(transport.actors.told.map(({ message }) => message._tag)).toEqual([
      "Register",
      ...Array.from({ length: 50 }, () => "Data"),
      "SocketLost"
    ])
    expect(transport.sockets.stats()).toMatchObject({ sessions: 0, bytesInFlight: 0 })
  })

  it("a session that ends with frames unsettled gives its credit back, once", async () => {
    await restart({}, { inFlight: 10 })
    transport.actors.receives = () => {}
    const wire = await Wire.open(transport.url)
    const [one, two] = [new Peer(transport, wire), new Peer(transport, wire)]
    await Promise.all([one.register(), two.register()])
    for (let i = 0; i < 10; i++) one.status()
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    const session = transport.actors.sessions.get(one.appId)!
    session.end(null)
    expect(transport.sockets.stats()).toMatchObject({ paused: 0, bytesInFlight: 0 })
    session.settle(10, 10_000)
    for (let i = 0; i < 10; i++) two.status()
    await waitUntil("the window is as wide as before", () => transport.sockets.stats().paused === 1)
    expect(transport.actors.of("Data", two.appId)).toHaveLength(10)
  })

  it("registrations under way on one socket are bounded, and all are answered", async () => {
    await restart({}, { registrationsPerSocket: 4 })
    transport.actors.admits = () => null
    const wire = await Wire.open(transport.url)
    const peers = Array.from({ length: 20 }, () => new Peer(transport, wire))
    for (const peer of peers) peer.send(peer.registerFrame())
    await waitUntil("four asked", () => transport.actors.pending.length === 4)
    expect(transport.sockets.stats()).toMatchObject({ unanswered: 4, paused: 1 })
    await waitUntil(
      "all registered",
      () => {
        for (const message of transport.actors.pending.splice(0, 1)) transport.actors.accept(message)
        expect(transport.sockets.stats().unanswered).toBeLessThanOrEqual(4)
        return peers.every((peer) => peer.registered !== undefined)
      },
      { everyMs: 2 }
    )
  })

  it("a gateway that sends more than 64 KiB of registrations at once is read on when the first is accepted", async () => {
    transport.actors.admits = () => null
    const wire = await Wire.open(transport.url)
    const peers = Array.from({ length: 200 }, () => new Peer(transport, wire))
    for (const peer of peers) peer.send(peer.registerFrame({ app_name: "x".repeat(250) }))
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    expect(wire.isOpen).toBe(true)
    await waitUntil("all registered", () => {
      for (const message of transport.actors.pending.splice(0)) transport.actors.accept(message)
      return peers.every((peer) => peer.registered !== undefined)
    })
  })
})
