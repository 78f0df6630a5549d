import { connect, type Socket } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

describe("how sockets end", () => {
  let transport: Transport
  const restart = async (...args: Parameters<typeof startTransport>) => {
    await transport.stop()
    transport = await startTransport(...args)
  }
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  const registered = async (changes: Readonly<Record<string, unknown>> = {}) => {
    const peer = await Peer.connect(transport)
    expect(await peer.register(changes)).toMatchObject({ type: "registered" })
    return peer
  }
  const lost = (peer: Peer) => waitUntil("the loss", () => transport.actors.losses(peer.appId)[0], { everyMs: 5 })
  /** The raw TCP socket under a client. */
  const tcp = (peer: Peer) => (peer.wire.socket as unknown as { readonly _socket: Socket })._socket

  it("closing handshake → lost by the peer, at once, for each node on the socket (P8)", async () => {
    const wire = await Wire.open(transport.url)
    const [one, two] = [new Peer(transport, wire), new Peer(transport, wire)]
    await Promise.all([one.register(), two.register()])
    const start = performance.now()
    wire.socket.close(1000)
    expect([await lost(one), await lost(two)]).toEqual(["peer", "peer"])
    expect(performance.now() - start).toBeLessThan(500)
    expect((await wire.closed).code).toBe(1000)
  })

  it("a close frame and then silence → lost at once all the same", async () => {
    await restart({}, { closeMs: 60_000 })
    const peer = await registered()
    tcp(peer).removeAllListeners("data")
    tcp(peer).pause()
    // Masked close frame, code 1000; nothing is read or closed afterwards.
    tcp(peer).write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))
    expect(await lost(peer)).toBe("peer")
    tcp(peer).destroy()
  })

  it("FIN without a close frame → lost by the peer at once", async () => {
    const peer = await registered()
    tcp(peer).end()
    expect(await lost(peer)).toBe("peer")
  })

  it("FIN while the peer does not take what we send → lost by the peer at once all the same", async () => {
    await restart({}, { outboundBytes: 1024 ** 3 })
    const peer = await registered({ ping_interval_ms: 0 })
    peer.wire.freeze()
    const session = transport.actors.sessions.get(peer.appId)!
    for (let i = 0; i < 6000; i++)
      session.send({ type: "error", code: "unavailable", message: "x".repeat(10_000), retryable: true })
    tcp(peer).end()
    expect(await lost(peer)).toBe("peer")
    await waitUntil("the socket to be cut", () => transport.sockets.stats().sockets === 0)
  })

  it("RST → lost by the peer at once", async () => {
    const peer = await registered()
    tcp(peer).resetAndDestroy()
    expect(await lost(peer)).toBe("peer")
  })

  it("a half-open socket → lost by heartbeat within 2 intervals + 1 s, not before 2 intervals (P8)", async () => {
    await restart({ pingInterval: 300 })
    const peer = await registered()
    const start = performance.now()
    peer.wire.freeze()
    expect(await lost(peer)).toBe("heartbeat")
    expect(performance.now() - start).toBeGreaterThan(600 - 300)
    expect(performance.now() - start).toBeLessThan(2 * 300 + 1000)
    expect(transport.sockets.stats()).toMatchObject({ sessions: 0 })
  })

  it("a peer that answers pings, or sends anything, lives on", async () => {
    await restart({ pingInterval: 100 }, { sweepMs: 20 })
    const quiet = await registered()
    let pings = 0
    quiet.wire.socket.on("ping", () => pings++)
    await waitUntil("some pings", () => pings >= 5)
    expect(transport.actors.losses()).toEqual([])
  })

  it("is pinged as often as hello says while its registration has no answer, and then as often as it wants", async () => {
    await restart({ pingInterval: 100 }, { sweepMs: 20, pingMinMs: 50 })
    transport.actors.admits = () => null
    const peer = await Peer.connect(transport)
    expect(peer.wire.hello?.ping_interval_ms).toBe(100)
    let pings = 0
    peer.wire.socket.on("ping", () => pings++)
    const answer = peer.register({ ping_interval_ms: 0 })
    await waitUntil("pings", () => pings >= 3)
    transport.actors.accept(transport.actors.pending[0]!)
    await answer
    const before = pings
    const other = await Peer.connect(transport)
    let others = 0
    other.wire.socket.on("ping", () => others++)
    const later = other.register()
    await waitUntil("pings elsewhere", () => others >= 5)
    transport.actors.accept(transport.actors.pending[1]!)
    await later
    // One may have been on its way.
    expect(pings - before).toBeLessThan(2)
  })

  it("ping interval 0 → no pings; the shortest of a socket's nodes counts", async () => {
    await restart({ pingInterval: 0 }, { sweepMs: 20, pingMinMs: 50 })
    const wire = await Wire.open(transport.url)
    let pings = 0
    wire.socket.on("ping", () => pings++)
    const [off, long, short] = [0, 1, 2].map(() => new Peer(transport, wire)) as [Peer, Peer, Peer]
    await off.register()
    const timed = await registered({ ping_interval_ms: 100 })
    let others = 0
    timed.wire.socket.on("ping", () => others++)
    await waitUntil("pings elsewhere", () => others >= 3)
    expect(pings).toBe(0)
    await long.register({ ping_interval_ms: 3_600_000 })
    await short.register({ ping_interval_ms: 50 })
    await waitUntil("pings here", () => pings >= 2)
  })

  it("no verdict while we do not read the socket ourselves (PROTOCOL §7)", async () => {
    await restart({ pingInterval: 100 }, { inFlight: 1, sweepMs: 20 })
    transport.actors.receives = () => {}
    const [paused, silent] = [await registered(), await registered()]
    paused.status()
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    paused.wire.freeze()
    silent.wire.freeze()
    expect(await lost(silent)).toBe("heartbeat")
    const again = await registered()
    again.wire.freeze()
    expect(await lost(again)).toBe("heartbeat")
    expect(transport.actors.losses(paused.appId)).toEqual([])
    // Reading again: the silence is judged from now on.
    transport.actors.sessions.get(paused.appId)!.settle(1, transport.actors.of("Data")[0]!.decoded.bytes)
    expect(await lost(paused)).toBe("heartbeat")
  })

  it("1,000 reconnects before the close of the old socket: each loss names its own session, none the newest", async () => {
    const appId = (await registered()).appId
    const peers: Array<Peer> = []
    transport.actors.admits = (message) => {
      // The actor that has not heard of the older session's end: it only takes the newer one.
      transport.actors.sessions.delete(message.decoded.frame.app_id)
      return "accept"
    }
    for (let i = 0; i < 1000; i++) {
      const peer = await Peer.connect(transport, { appId })
      expect(await peer.attach(peer.reRegisterFrame())).toMatchObject({ type: "registered" })
      peers.push(peer)
    }
    const newest = transport.actors.sessions.get(appId)!
    const last = peers.pop()!
    for (const peer of peers) peer.wire.terminate()
    await waitUntil("the losses", () => transport.actors.losses(appId).length === 999)
    const sessions = transport.actors.of("SocketLost", appId).map(({ session }) => session)
    expect(new Set(sessions).size).toBe(999)
    expect(sessions).not.toContain(newest)
    last.status()
    await waitUntil("the ack", () => last.acks.length === 1)
  }, 60_000)

  it("a session that its actor has ended is not lost once more when its socket closes", async () => {
    const old = await registered()
    const fresh = await Peer.connect(transport, { appId: old.appId })
    await fresh.attach(fresh.reRegisterFrame())
    await waitUntil("replaced", () => old.errors.length === 1)
    expect(old.errors[0]).toMatchObject({ code: "replaced", retryable: false })
    expect((await old.wire.closed).code).toBe(1000)
    await waitUntil("one socket", () => transport.sockets.stats().sockets === 1)
    expect(transport.actors.losses()).toEqual([])
  })

  it("nothing is sent, and nothing throws, after the end", async () => {
    const peer = await registered()
    const session = transport.actors.sessions.get(peer.appId)!
    session.end(null)
    session.end(null)
    session.send({ type: "ack", app_id: peer.appId, incarnation: 1, seq: 1 })
    session.sendSealed("{}")
    session.settle(5, 5)
    await peer.wire.closed
    session.send({ type: "ack", app_id: peer.appId, incarnation: 1, seq: 1 })
    expect(peer.acks).toEqual([])
  })

  it("drain → going_away with staggered delays, 1001, lost by the server, newcomers get 503", async () => {
    const peers = [await registered(), await registered(), await registered()]
    const stranger = await Wire.open(transport.url)
    await transport.drain()
    const delays = peers.map((peer) => {
      expect(peer.errors[0]).toMatchObject({ code: "going_away", retryable: true, app_id: peer.appId })
      return peer.errors[0]!.retry_after_ms!
    })
    expect(new Set(delays).size).toBeGreaterThan(1)
    for (const peer of peers) {
      expect((await peer.wire.closed).code).toBe(1001)
      expect(transport.actors.losses(peer.appId)).toEqual(["server"])
    }
    expect((await stranger.closed).code).toBe(1001)
    expect(transport.sockets.stats()).toMatchObject({ sockets: 0, sessions: 0 })
    await expect(Wire.open(transport.url)).rejects.toThrow(/503/)
  })

  it("drain waits for what is in flight, and acks it", async () => {
    const peer = await registered()
    const held: Array<() => void> = []
    transport.actors.receives = (message) => void held.push(() => transport.actors.ack(message))
    peer.status()
    await waitUntil("the frame", () => held.length === 1)
    const drained = transport.drain()
    await waitUntil("going_away", () => peer.errors.length === 1)
    expect(peer.wire.isOpen).toBe(true)
    for (const settle of held) settle()
    await drained
    expect(peer.acks).toEqual([1])
  })

  it("drain is bounded by peers that do not answer the closing handshake", async () => {
    await restart({}, { drainMs: 200, closeMs: 200 })
    transport.actors.receives = () => {}
    const peer = await registered()
    peer.status()
    await waitUntil("the frame", () => transport.actors.of("Data").length === 1)
    peer.wire.freeze()
    const start = performance.now()
    await transport.drain()
    expect(performance.now() - start).toBeLessThan(1000)
    expect(transport.sockets.stats()).toMatchObject({ sockets: 0, sessions: 0 })
  })

  it("a TCP connection that says nothing, and one that breaks off the upgrade, leave nothing behind", async () => {
    const silent = connect(transport.port, "127.0.0.1")
    const half = connect(transport.port, "127.0.0.1")
    half.write(
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: nonsense\r\n\r\n"
    )
    const answer = await new Promise<string>((resolve) => half.on("data", (data) => resolve(data.toString())))
    expect(answer).toMatch(/^HTTP\/1.1 400/)
    silent.destroy()
    expect(transport.sockets.stats()).toMatchObject({ sockets: 0, handshakesHeld: 0, handshakesWaiting: 0 })
    await registered()
  })
})
