import { once } from "node:events"
import { createServer, type Server } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { WebSocketServer } from "ws"
import { type SocketOwner, TrailsSocket } from "../../src/transports/TrailsSocket.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** More than the ends of one turn. */
const MANY = 150
const PER_TURN = 100

const turn = () => new Promise((resolve) => setImmediate(resolve))

const HANDSHAKE =
  "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

describe("a socket on raw ws", () => {
  let http: Server
  let peers: Array<Socket>
  let upgraded: Array<{ readonly socket: TrailsSocket; readonly stream: Duplex }>

  beforeEach(async () => {
    peers = []
    upgraded = []
    const ws = new WebSocketServer({ noServer: true, clientTracking: false, WebSocket: TrailsSocket })
    http = createServer()
    http.on("upgrade", (request, stream, head) => {
      stream.on("error", () => {})
      ws.handleUpgrade(request, stream, head, (socket) => upgraded.push({ socket, stream }))
    })
    http.listen(0, "127.0.0.1")
    await once(http, "listening")
  })
  afterEach(async () => {
    for (const peer of peers) peer.destroy()
    for (const { stream } of upgraded) stream.destroy()
    http.close()
    await once(http, "close")
  })

  const open = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const peer = connect((http.address() as AddressInfo).port, "127.0.0.1")
      peer.on("error", () => {})
      peer.resume()
      peer.write(HANDSHAKE)
      peers.push(peer)
    }
    await waitUntil("all are upgraded", () => upgraded.length === count)
  }

  const told = { endings: 0, peerClosing: 0, closed: 0 }
  const owner: SocketOwner = {
    onMessage: () => {},
    onViolation: () => {},
    onEnding: () => void told.endings++,
    onPeerClosing: () => void told.peerClosing++,
    onClosed: () => void told.closed++
  }
  const ownAll = () => {
    Object.assign(told, { endings: 0, peerClosing: 0, closed: 0 })
    for (const { socket, stream } of upgraded) socket.own(owner, stream)
  }

  /** The most that `count` rose by within one turn of the loop, until it has reached `end`. */
  const steepest = async (count: () => number, end: number) => {
    let most = 0
    for (let before = count(); count() < end; before = count()) {
      await turn()
      most = Math.max(most, count() - before)
    }
    return most
  }

  const names = (stream: Duplex, event: string) => stream.listeners(event).map(({ name }) => name)

  it("the parts of ws that are used although they are private exist, and its listeners at the stream give way", async () => {
    await open(1)
    const { socket, stream } = upgraded[0]!
    expect(names(stream, "end")).toContain("socketOnEnd")
    expect(names(stream, "close")).toContain("socketOnClose")
    const { _receiver: receiver } = socket as unknown as { readonly _receiver: Record<string, unknown> }
    expect(receiver["_maxPayload"]).toEqual(expect.any(Number))
    expect(receiver["end"]).toEqual(expect.any(Function))
    ownAll()
    expect(names(stream, "end")).not.toContain("socketOnEnd")
    expect(names(stream, "close")).not.toContain("socketOnClose")
    socket.maxPayload = 4711
    expect(receiver["_maxPayload"]).toBe(4711)
  })

  it("many streams end at once → each owner knows at once, what follows is done a bounded number a turn", async () => {
    await open(MANY)
    ownAll()
    for (const { stream } of upgraded) stream.emit("end")
    expect(told).toMatchObject({ endings: MANY, peerClosing: 0 })
    expect(await steepest(() => told.peerClosing, MANY)).toBe(PER_TURN)
    await waitUntil("all are closed", () => told.closed === MANY)
    expect(upgraded.every(({ socket }) => socket.readyState === TrailsSocket.CLOSED)).toBe(true)
  })

  it("many streams break at once → each owner knows at once, what follows is done a bounded number a turn", async () => {
    await open(MANY)
    ownAll()
    const destroyed = () => upgraded.filter(({ stream }) => stream.destroyed).length
    for (const { stream } of upgraded) stream.destroy(new Error("reset"))
    expect(told).toEqual({ endings: MANY, peerClosing: 0, closed: 0 })
    expect(await steepest(destroyed, MANY)).toBe(PER_TURN)
    expect(await steepest(() => told.closed, MANY)).toBeLessThanOrEqual(PER_TURN)
    expect(told).toMatchObject({ peerClosing: MANY, closed: MANY })
  })

  it("many streams are destroyed at once → what follows their closes is done a bounded number a turn", async () => {
    await open(MANY)
    ownAll()
    let untold = 0
    for (const { stream } of upgraded) stream.on("close", () => void (untold += told.closed === 0 ? 1 : 0))
    for (const { stream } of upgraded) stream.destroy()
    expect(await steepest(() => told.closed, MANY)).toBeLessThanOrEqual(PER_TURN)
    expect(untold).toBe(MANY)
  })

  it("a reset of the connection waits for its turn too: Node destroys such a stream by its public method", async () => {
    await open(1)
    const { socket, stream } = upgraded[0]!
    ownAll()
    const seen: Array<boolean> = []
    socket.owner = { ...owner, onEnding: () => void seen.push(stream.destroyed) }
    peers[0]!.resetAndDestroy()
    await waitUntil("it is closed", () => told.closed === 1)
    expect(seen).toEqual([false, true])
    expect(socket.readyState).toBe(TrailsSocket.CLOSED)
  })

  it("a stream that is destroyed between its end and its turn → closed once, and nothing is written to it", async () => {
    await open(1)
    ownAll()
    const { socket, stream } = upgraded[0]!
    stream.emit("end")
    stream.destroy()
    let written = 0
    stream.write = () => ++written > 0
    socket.write("too late")
    await waitUntil("it is closed", () => told.closed > 0)
    await turn()
    expect(written).toBe(0)
    expect(told).toEqual({ endings: 2, peerClosing: 0, closed: 1 })
  })
})
