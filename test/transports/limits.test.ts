import type { Socket } from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { seeded } from "../harness/Random.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { refusal } from "./FakeActors.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

describe("limits of a socket", () => {
  let transport: Transport
  const restart = async (...args: Parameters<typeof startTransport>) => {
    await transport.stop()
    transport = await startTransport(...args)
  }
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  const registered = async (options: Parameters<typeof Peer.connect>[1] = {}) => {
    const peer = await Peer.connect(transport, options)
    expect(await peer.register()).toMatchObject({ type: "registered" })
    return peer
  }

  it("not JSON → a bad_frame error, then 1007", async () => {
    const peer = await registered()
    peer.wire.send("{nope")
    expect(await peer.wire.closed).toMatchObject({ code: 1007 })
    expect(peer.wire.unclaimed.at(-1)!.frame).toMatchObject({ type: "error", code: "bad_frame" })
    await waitUntil("the loss", () => transport.actors.losses(peer.appId).length === 1)
    expect(transport.actors.losses(peer.appId)).toEqual(["server"])
  })

  it("not UTF-8 → a bad_frame error, then 1007", async () => {
    const peer = await registered()
    peer.wire.socket.send(Buffer.from([0x7b, 0xff, 0x7d]), { binary: false })
    expect(await peer.wire.closed).toMatchObject({ code: 1007 })
    expect(peer.wire.unclaimed.at(-1)!.frame).toMatchObject({ type: "error", code: "bad_frame" })
  })

  it("a binary message → 1008", async () => {
    const peer = await registered()
    peer.wire.socket.send(Buffer.from("{}"))
    expect(await peer.wire.closed).toMatchObject({ code: 1008 })
  })

  it("more than 64 KiB before the registration → too_large, 1009", async () => {
    const peer = await Peer.connect(transport)
    peer.wire.send(`{"type":"${"x".repeat(65 * 1024)}"}`)
    expect(await peer.wire.closed).toMatchObject({ code: 1009 })
    expect(peer.wire.unclaimed.at(-1)!.frame).toMatchObject({ code: "too_large" })
    expect(transport.actors.told).toEqual([])
  })

  it("a stranger that announces a larger frame → 1009 before a byte of it has come (P16)", async () => {
    const peer = await Peer.connect(transport)
    const { _socket: socket } = peer.wire.socket as unknown as { readonly _socket: Socket }
    // Final text frame, masked, 100,000 bytes: the header alone.
    socket.write(Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0]))
    expect(await peer.wire.closed).toMatchObject({ code: 1009 })
  })

  it("more than 64 KiB in many frames before a registration → too_large, 1009 (P16)", async () => {
    const peer = await Peer.connect(transport)
    for (let i = 0; i < 14; i++) peer.wire.send(`{"type":"${"x".repeat(5000)}"}`)
    expect(await peer.wire.closed).toMatchObject({ code: 1009 })
  })

  it("after the registration a frame may have TRAILS_MAX_FRAME bytes, and not one more", async () => {
    await restart({ maxFrame: 100_000 })
    const peer = await registered()
    const fill = 100_000 - peer.sealed(peer.statusFrame("")).length
    peer.seq = 0
    peer.status("x".repeat(fill))
    await waitUntil("the ack of the largest frame", () => peer.acks.length === 1)
    expect(transport.actors.of("Data")[0]!.decoded.bytes).toBe(100_000)
    peer.status("x".repeat(fill + 1))
    expect(await peer.wire.closed).toMatchObject({ code: 1009 })
  })

  it("no registration in time → 1008 (P16)", async () => {
    await restart({}, { strangerMs: 200, sweepMs: 20 })
    const silent = await Wire.open(transport.url)
    const talkative = await Peer.connect(transport)
    transport.actors.admits = () => refusal("registration_failed", true)
    await talkative.register()
    expect(await silent.closed).toMatchObject({ code: 1008 })
    expect(await talkative.wire.closed).toMatchObject({ code: 1008 })
  })

  it("a registration that its actor takes long for is not a stranger's silence", async () => {
    await restart({}, { strangerMs: 100, sweepMs: 20 })
    transport.actors.admits = () => null
    const peer = await Peer.connect(transport)
    peer.send(peer.registerFrame())
    const silent = await Wire.open(transport.url)
    await silent.closed
    expect(peer.wire.isOpen).toBe(true)
    transport.actors.accept(transport.actors.pending[0]!)
    await waitUntil("registered", () => peer.registered)
  })

  it("a socket that all nodes have left is closed: 1000, at once", async () => {
    const peer = await registered()
    transport.actors.sessions.get(peer.appId)!.end(null)
    expect(await peer.wire.closed).toMatchObject({ code: 1000 })
    expect(transport.actors.losses()).toEqual([])
  })

  it("a socket without nodes that stays open all the same → 1008 after a while", async () => {
    await restart({}, { desertedMs: 200, sweepMs: 20 })
    const wire = await Wire.open(transport.url)
    const [one, two] = [new Peer(transport, wire), new Peer(transport, wire)]
    await one.register()
    transport.actors.admits = () => null
    two.send(two.registerFrame())
    await waitUntil("the question", () => transport.actors.pending.length === 1)
    transport.actors.sessions.get(one.appId)!.end(null)
    transport.actors.reject(transport.actors.pending[0]!, refusal("registration_failed", true))
    await waitUntil("the refusal", () => two.errors.length === 1)
    expect(wire.isOpen).toBe(true)
    expect(await wire.closed).toMatchObject({ code: 1008 })
  })

  it("the end of one node leaves the others of its socket alone", async () => {
    const wire = await Wire.open(transport.url)
    const [one, two] = [new Peer(transport, wire), new Peer(transport, wire)]
    await Promise.all([one.register(), two.register()])
    transport.actors.sessions.get(one.appId)!.end(refusal("replaced"))
    await waitUntil("replaced", () => one.errors.length === 1)
    two.status()
    one.status()
    await waitUntil("ack and refusal", () => two.acks.length === 1 && one.errors.length === 2)
    expect(one.errors[1]).toMatchObject({ code: "not_registered" })
  })

  it("garbage for ever without a node → 1008 after a bound", async () => {
    await restart({}, { strangerErrors: 5 })
    const stranger = await Peer.connect(transport)
    for (let i = 0; i < 10; i++) stranger.wire.send("{}")
    expect(await stranger.wire.closed).toMatchObject({ code: 1008 })
    expect(stranger.wire.unclaimed).toHaveLength(5)
  })

  it("garbage for ever beside a registered node → answered up to a bound, and the socket stays (N8)", async () => {
    await restart({}, { strangerErrors: 5, errors: 20 })
    const peer = await registered()
    for (let i = 0; i < 500; i++) peer.wire.send("{}")
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
    expect(peer.wire.unclaimed).toHaveLength(20)
    expect(peer.wire.isOpen).toBe(true)
    // The node that kept it open leaves: now it is a stranger's.
    const neighbour = new Peer(transport, peer.wire)
    transport.actors.admits = () => null
    neighbour.send(neighbour.registerFrame())
    await waitUntil("the question", () => transport.actors.pending.length === 1)
    transport.actors.sessions.get(peer.appId)!.end(null)
    peer.wire.send("{}")
    expect(await peer.wire.closed).toMatchObject({ code: 1008 })
  })

  it("beyond the bound a refusal about a seq of a session is still answered: no ack may cover it (N8)", async () => {
    await restart({}, { errors: 20 })
    const peer = await registered()
    for (let i = 0; i < 50; i++) peer.wire.send("{}")
    peer.send(peer.statusFrame({}, { bytes: "*" }))
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
    expect(peer.errors).toMatchObject([{ code: "bad_frame", seq: 1 }])
    expect(peer.acks).toEqual([2])
  })

  it("one socket too many → 503 with Retry-After", async () => {
    await restart({}, { sockets: 2 })
    await Wire.open(transport.url)
    await Wire.open(transport.url)
    const socket = new WebSocket(transport.url, ["trails.v1"])
    const refused = await new Promise((resolve) => {
      socket.on("unexpected-response", (_, { headers, statusCode }) => resolve([statusCode, headers["retry-after"]]))
    })
    expect(refused).toEqual([503, "5"])
  })

  it("another path → 404", async () => {
    const socket = new WebSocket(transport.url.replace("/ws", "/other"), ["trails.v1"])
    expect(
      await new Promise((resolve) => socket.on("unexpected-response", (_, { statusCode }) => resolve(statusCode)))
    ).toBe(404)
  })

  it("a path that somebody has taken → his, with its query, until the drain", async () => {
    const url = `${transport.url.replace("/ws", "/taken")}?a=b`
    const taken: Array<string | undefined> = []
    transport.sockets.upgradesAt("/taken", (request, stream) => {
      taken.push(request.url)
      stream.end("HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n")
    })
    const answer = () =>
      new Promise((resolve) => {
        new WebSocket(url).on("error", () => {}).on("unexpected-response", (_, { statusCode }) => resolve(statusCode))
      })
    expect(await answer()).toBe(418)
    await transport.drain()
    expect(await answer()).toBe(503)
    expect(taken).toEqual(["/taken?a=b"])
  })

  it("too many nodes on one socket → overloaded", async () => {
    await restart({}, { nodesPerSocket: 3 })
    const wire = await Wire.open(transport.url)
    const answers = []
    for (let i = 0; i < 4; i++) answers.push(((await new Peer(transport, wire).register()) as { code?: string }).code)
    expect(answers).toEqual([undefined, undefined, undefined, "overloaded"])
  })

  it("legacy: too many nodes on one socket → overloaded; those that are there may come again", async () => {
    await restart({}, { nodesPerSocket: 2 })
    const wire = await Wire.open(transport.url, { dialect: "legacy" })
    const [one, two, three] = [0, 1, 2].map(() => new Peer(transport, wire)) as [Peer, Peer, Peer]
    expect(await one.register()).toMatchObject({ type: "registered" })
    expect(await two.register()).toMatchObject({ type: "registered" })
    expect(await three.register()).toMatchObject({ code: "overloaded" })
    expect(await one.attach(one.reRegisterFrame())).toMatchObject({ type: "registered" })
  })

  it("a peer that does not read is cut, by us", async () => {
    await restart({}, { outboundBytes: 256 * 1024 })
    const peer = await registered()
    peer.wire.freeze()
    const session = transport.actors.sessions.get(peer.appId)!
    await waitUntil("the cut", () => {
      for (let i = 0; i < 100; i++)
        session.send({ type: "error", code: "unavailable", message: "x".repeat(10_000), retryable: true })
      return transport.actors.losses(peer.appId).length === 1
    })
    expect(transport.actors.losses(peer.appId)).toEqual(["server"])
    expect(transport.sockets.stats()).toMatchObject({ sessions: 0 })
  })

  it("5,000 malformed frames: typed refusals, no crash, others undisturbed, nothing kept", async () => {
    const random = seeded(7)
    const neighbour = await registered()
    let wire = await Wire.open(transport.url)
    let peer = new Peer(transport, wire)
    await peer.register()
    let refused = 0
    let closed = 0
    const heaps: Array<number> = []
    for (let sent = 0; sent < 5000;) {
      if (!wire.isOpen) {
        closed++
        refused += wire.unclaimed.length + peer.errors.length
        wire = await Wire.open(transport.url)
        peer = new Peer(transport, wire)
        await peer.register()
      }
      const text = malformed(peer, random)
      wire.socket.send(text)
      sent++
      if (sent % 50 === 0) {
        const acks = neighbour.acks.length
        neighbour.status(sent)
        await waitUntil("the neighbour's ack", () => neighbour.acks.length > acks, { everyMs: 1 })
      }
      if (sent % 1000 === 0) heaps.push(process.memoryUsage().rss)
    }
    wire.terminate()
    expect(closed).toBeGreaterThan(10)
    expect(refused).toBeGreaterThan(100)
    expect(neighbour.errors).toEqual([])
    expect(neighbour.acks).toHaveLength(100)
    await waitUntil("the peers to be gone", () => transport.sockets.stats().sockets === 1)
    expect(transport.sockets.stats()).toMatchObject({ sessions: 1, bytesInFlight: 0, unanswered: 0 })
    expect(heaps.at(-1)! / heaps[0]!).toBeLessThan(1.5)
  })
})

/** A frame that is wrong in one of many ways. */
const malformed = (peer: Peer, random: ReturnType<typeof seeded>): string | Buffer => {
  const good = peer.sealed(peer.statusFrame({ a: [1, 2, { b: "c" }] }))
  const bytes = Buffer.from(good)
  switch (random.int(9)) {
    case 0:
      return good.slice(0, random.int(good.length))
    case 1: {
      bytes[random.int(bytes.length)] = 0x20 + random.int(95)
      return bytes.toString("latin1")
    }
    case 2:
      return JSON.stringify({ ...(JSON.parse(good) as object), app_id: random.pick(["", 5, null, "x", {}]) })
    case 3:
      return JSON.stringify({
        ...(JSON.parse(good) as object),
        type: random.pick(["hello", "", 5, "bootstrap_register"])
      })
    case 4:
      return `${"[".repeat(100)}${"]".repeat(100)}`
    case 5:
      return good.replace("{", `{"type":"message","app_id":"${peer.appId}",`)
    case 6:
      return JSON.stringify({ ...(JSON.parse(good) as object), header: random.pick([null, 1, [], {}, { seq: -1 }]) })
    case 7:
      return random.bytes(random.int(200))
    default:
      return random.pick(["null", "[]", "1", '"x"', "{}", "", '{"type":null}'])
  }
}
