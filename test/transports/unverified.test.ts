import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { makeKeypair, seal } from "../harness/Keypair.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

describe("a frame of a signed session that does not verify (N7, P11)", () => {
  let transport: Transport
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  /** Two nodes on one socket, both registered. */
  const pair = async (signed: readonly [boolean, boolean] = [true, true]): Promise<readonly [Peer, Peer]> => {
    const wire = await Wire.open(transport.url, { pinned: transport.serverKeys.publicKey })
    const peers = [new Peer(transport, wire, { signed: signed[0] }), new Peer(transport, wire, { signed: signed[1] })]
    for (const peer of peers) expect(await peer.register()).toMatchObject({ type: "registered" })
    return peers as unknown as readonly [Peer, Peer]
  }
  const foreign = makeKeypair().secretKey
  const unsealed = (frame: object) => JSON.stringify({ ...frame, sig: null })

  const forgeries: ReadonlyArray<readonly [string, (peer: Peer) => string]> = [
    ["signed by another key", (peer) => seal("trails.v1.child", JSON.stringify(peer.statusFrame()), foreign)],
    ["signed for another purpose", (peer) => seal("trails.v1.server", JSON.stringify(peer.statusFrame()), foreign)],
    ["not signed", (peer) => unsealed(peer.statusFrame())],
    ["changed on the way", (peer) => peer.sealed(peer.statusFrame({ ok: true })).replace("true", "false")],
    ["of a wrong shape, not signed", (peer) => unsealed(peer.statusFrame({}, { bytes: "*" }))],
    ["changed into a wrong shape", (peer) => peer.sealed(peer.statusFrame()).replace("Status", "status")],
    ["of an unknown type", (peer) => peer.sealed(peer.statusFrame()).replace('"message"', '"massage"')],
    ["with a member twice", (peer) => peer.sealed(peer.statusFrame()).replace('"start_day":1', "$&,$&")],
    [
      "nested too deep",
      (peer) => peer.sealed(peer.statusFrame(0)).replace(":0,", `:${"[".repeat(40)}${"]".repeat(40)},`)
    ],
    ["a malformed registration", (peer) => unsealed(peer.registerFrame({ app_name: 5 }))],
    [
      "a disconnect",
      (peer) => unsealed({ type: "disconnect", app_id: peer.appId, incarnation: 1, seq: 1, reason: "x" })
    ]
  ]

  it.each(forgeries)("%s → bad_signature without a seq, that session ends, its neighbour goes on", async (_, forge) => {
    const [one, two] = await pair()
    one.wire.send(forge(one))
    await waitUntil("the refusal", () => one.errors.length > 0)
    expect(one.errors[0]).toMatchObject({ code: "bad_signature", app_id: one.appId, retryable: false })
    expect(one.errors[0]).not.toHaveProperty("seq")
    expect(transport.actors.losses(one.appId)).toEqual(["server"])
    expect(transport.actors.of("Data", one.appId)).toEqual([])
    two.status()
    await waitUntil("the neighbour's ack", () => two.acks.length === 1)
    expect(one.wire.isOpen).toBe(true)
    expect(two.errors).toEqual([])
  })

  it("what was taken before it stays taken, the loss comes behind it, no ack and no seq come after it", async () => {
    const [one, two] = await pair()
    const held: Array<() => void> = []
    transport.actors.receives = (message) => void held.push(() => transport.actors.ack(message))
    one.status()
    one.status()
    one.wire.send(seal("trails.v1.child", JSON.stringify(one.statusFrame()), foreign))
    one.status()
    one.status()
    await waitUntil("all answers", () => one.errors.length === 3)
    // What its actor has not settled is given back, and what it settles later goes nowhere.
    expect(transport.sockets.stats()).toMatchObject({ sessions: 1, bytesInFlight: 0 })
    for (const ack of held) ack()
    two.send(two.statusFrame({}, { bytes: "*" }))
    await waitUntil("whatever was sent before", () => two.errors.length === 1)
    expect(transport.actors.told.filter(({ appId }) => appId === one.appId).map(({ message }) => message._tag)).toEqual(
      ["Register", "Data", "Data", "SocketLost"]
    )
    expect(one.errors.map(({ code }) => code)).toEqual(["bad_signature", "not_registered", "not_registered"])
    expect(one.errors.every((error) => error.seq === undefined)).toBe(true)
    expect(one.acks).toEqual([])
  })

  it("the only node of a socket → the socket closes, and the node comes back on another", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    await peer.register()
    peer.wire.send(unsealed(peer.statusFrame()))
    expect(await peer.wire.closed).toMatchObject({ code: 1008 })
    expect(peer.errors).toMatchObject([{ code: "bad_signature" }])
    expect(transport.actors.losses(peer.appId)).toEqual(["server"])
    const again = await Peer.connect(transport, { signed: true, appId: peer.appId, keys: peer.keys })
    expect(await again.attach(again.reRegisterFrame())).toMatchObject({ type: "registered" })
  })

  it("a frame of a wrong shape that does verify → bad_frame with its seq, and the session goes on", async () => {
    const [one] = await pair()
    one.send(one.statusFrame({}, { bytes: "*" }))
    one.status()
    await waitUntil("the ack", () => one.acks.length === 1)
    expect(one.errors).toMatchObject([{ code: "bad_frame", seq: 1 }])
  })

  it("a neighbour of level open is not judged by it", async () => {
    const [signed, open] = await pair([true, false])
    open.send(open.statusFrame({}, { bytes: "*" }))
    signed.wire.send(unsealed(signed.statusFrame()))
    open.status()
    await waitUntil("the ack", () => open.acks.length === 1)
    expect(open.errors).toMatchObject([{ code: "bad_frame", seq: 1 }])
    expect(transport.actors.losses(open.appId)).toEqual([])
  })

  it("while the registration is undecided → it waits for the decision, then the session ends", async () => {
    transport.actors.admits = () => null
    const peer = await Peer.connect(transport, { signed: true })
    peer.send(peer.registerFrame())
    peer.wire.send(unsealed(peer.statusFrame()))
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    expect(transport.actors.losses(peer.appId)).toEqual([])
    transport.actors.accept(transport.actors.pending[0]!)
    await peer.wire.closed
    expect(peer.frames.map((frame) => frame.type)).toEqual(["registered", "error"])
    expect(transport.actors.losses(peer.appId)).toEqual(["server"])
  })

  it("when the peer has gone → nothing behind it is taken, and the loss keeps its cause", async () => {
    const [one, two] = await pair()
    one.status()
    one.wire.send(unsealed(one.statusFrame()))
    one.status()
    one.wire.terminate()
    await waitUntil("the losses", () => transport.actors.losses().length === 2)
    expect(transport.actors.seqs(one.appId)).toEqual([1])
    expect(transport.actors.losses(two.appId)).toEqual(["peer"])
    expect(transport.actors.losses(one.appId)).toHaveLength(1)
  })

  it("a full mailbox: the loss waits for room, and nothing overtakes it (N2, N3)", async () => {
    const [one] = await pair()
    let full = true
    transport.actors.takes = (appId, message) => !(full && appId === one.appId && message._tag === "SocketLost")
    one.wire.send(unsealed(one.statusFrame()))
    one.status()
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    expect(one.errors).toEqual([])
    full = false
    await waitUntil("both refusals", () => one.errors.length === 2)
    expect(one.errors.map(({ code }) => code)).toEqual(["bad_signature", "not_registered"])
    expect(transport.actors.losses(one.appId)).toEqual(["server"])
  })
})
