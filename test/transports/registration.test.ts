import { randomBytes } from "node:crypto"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { isSealedBy, makeKeypair, seal } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { refusal } from "./FakeActors.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

describe("registration, server level open", () => {
  let transport: Transport
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  it("subprotocol trails.v1 → selected, a signed hello comes first", async () => {
    const wire = await Wire.open(transport.url, { pinned: transport.serverKeys.publicKey })
    expect(wire.socket.protocol).toBe("trails.v1")
    expect(Buffer.from(wire.hello!.nonce, "base64")).toHaveLength(32)
    expect(wire.hello).toMatchObject({ server_pub_key: transport.serverKeys.text, level: "open" })
    expect(Math.abs(wire.hello!.server_time - Date.now())).toBeLessThan(5000)
    const socket = new WebSocket(transport.url, ["trails.v1"])
    const text = await new Promise<string>((resolve) =>
      socket.once("message", (data) => resolve((data as Buffer).toString()))
    )
    expect(isSealedBy(text, transport.serverKeys.publicKey)).toBe(true)
    socket.terminate()
    const other = await Wire.open(transport.url)
    expect(other.hello!.nonce).not.toBe(wire.hello!.nonce)
  })

  it("no subprotocol → legacy, no hello, and it registers, sends and is acked", async () => {
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    expect(await peer.register()).toMatchObject({ type: "registered", app_id: peer.appId })
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
    expect(peer.wire.unclaimed).toEqual([])
    expect(transport.actors.of("Register")[0]).toMatchObject({ verified: false, envelope: null })
    expect(transport.actors.of("Register")[0]!.session.dialect).toBe("legacy")
  })

  it("only unknown subprotocols → 400 that names the right one", async () => {
    const socket = new WebSocket(transport.url, ["mqtt", "trails.v9"])
    const text = await new Promise<string>((resolve, reject) => {
      socket.on("unexpected-response", (_, response) => {
        response.setEncoding("utf8")
        response.on("data", (body: string) => resolve(`${response.statusCode} ${body}`))
      })
      socket.on("open", () => reject(new Error("it opened")))
      socket.on("error", () => {})
    })
    expect(text).toMatch(/^400 .*trails\.v1/)
  })

  it("v1 + unknown subprotocols → trails.v1", async () => {
    const socket = new WebSocket(transport.url, ["mqtt", "trails.v1"])
    await new Promise((resolve) => socket.once("open", resolve))
    expect(socket.protocol).toBe("trails.v1")
    socket.terminate()
  })

  it("open v1 registration → unverified, with the envelope decoded and the terms granted", async () => {
    const peer = await Peer.connect(transport)
    const { info } = makeEnvelope({ appId: peer.appId, serverEp: transport.url, appName: "peer" }, null)
    const answer = await peer.register({ info })
    expect(answer).toMatchObject({
      type: "registered",
      limits: { max_frame: 1024 * 1024, max_in_flight: 1024 },
      ping_interval_ms: 30_000
    })
    expect(peer.received[0]!.signed).toBe(false)
    expect(transport.actors.of("Register")[0]).toMatchObject({ verified: false, envelope: { appId: peer.appId } })
  })

  it("signed registration → verified, and every frame after it is signed both ways (P11)", async () => {
    const peer = await Peer.connect(transport, { signed: true }, { pinned: transport.serverKeys.publicKey })
    expect(await peer.register()).toMatchObject({ type: "registered" })
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
    expect(peer.received.every(({ text }) => isSealedBy(text, transport.serverKeys.publicKey))).toBe(true)
    expect(transport.actors.of("Register")[0]!.verified).toBe(true)
  })

  it("ping_interval_ms: 0 → off, too small and too large → the bounds", async () => {
    const granted = async (asked: number) => {
      const peer = await Peer.connect(transport)
      return ((await peer.register({ ping_interval_ms: asked })) as { ping_interval_ms: number }).ping_interval_ms
    }
    expect(await granted(0)).toBe(0)
    expect(await granted(5)).toBe(1000)
    expect(await granted(5000)).toBe(5000)
    expect(await granted(1e12)).toBe(3_600_000)
  })

  it("signature by another key → bad_signature, and the actor hears nothing", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    const text = seal("trails.v1.child", JSON.stringify(peer.registerFrame()), makeKeypair().secretKey)
    const answer = peer.next((frame) => frame.type === "error")
    peer.wire.send(text)
    expect(await answer).toMatchObject({ code: "bad_signature", app_id: peer.appId, retryable: false })
    expect(transport.actors.told).toEqual([])
  })

  it("signature made for another kind of frame → bad_signature", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    const text = seal("trails.v1.server", JSON.stringify(peer.registerFrame()), peer.keys.secretKey)
    const answer = peer.next((frame) => frame.type === "error")
    peer.wire.send(text)
    expect(await answer).toMatchObject({ code: "bad_signature" })
  })

  it("sig that is not the last member → bad_signature", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    const { sig, ...rest } = JSON.parse(peer.sealed(peer.registerFrame())) as Record<string, unknown>
    const answer = peer.next((frame) => frame.type === "error")
    peer.wire.send(JSON.stringify({ sig, ...rest }))
    expect(await answer).toMatchObject({ code: "bad_signature" })
    expect(transport.actors.told).toEqual([])
  })

  it("server_key of another server → registration_failed that says so", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    const answer = await peer.register({ server_key: makeKeypair().text })
    expect(answer).toMatchObject({ code: "registration_failed", retryable: false })
    expect((answer as { message: string }).message).toMatch(/another server/)
    expect(transport.actors.told).toEqual([])
  })

  it("server_key may be absent in open and must be there when signed", async () => {
    const open = await Peer.connect(transport)
    expect(await open.register({ server_key: undefined })).toMatchObject({ type: "registered" })
    const signed = await Peer.connect(transport, { signed: true })
    expect(await signed.register({ server_key: undefined })).toMatchObject({ code: "registration_failed" })
  })

  it("a registration captured on one socket fails on another (P12)", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    const text = peer.sealed(peer.registerFrame())
    peer.wire.send(text)
    await waitUntil("registered", () => peer.registered)
    const thief = await Peer.connect(transport, { appId: peer.appId })
    const answer = thief.next((frame) => frame.type === "error")
    thief.wire.send(text)
    expect(await answer).toMatchObject({ code: "registration_failed" })
    expect(transport.actors.of("Register")).toHaveLength(1)
  })

  it("accepted → the nonce is spent for this node on this socket (P12)", async () => {
    const peer = await Peer.connect(transport)
    const text = peer.sealed(peer.registerFrame())
    peer.wire.send(text)
    await waitUntil("registered", () => peer.registered)
    peer.wire.send(text)
    await waitUntil("the refusal", () => peer.errors.length === 1)
    expect(await peer.attach(peer.reRegisterFrame())).toMatchObject({ code: "registration_failed" })
    expect(transport.actors.of("Register")).toHaveLength(1)
    expect(transport.actors.of("ReRegister")).toHaveLength(0)
    // The healthy session goes on.
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
  })

  it("refused as retryable → the nonce is good again; refused for good → spent", async () => {
    const peer = await Peer.connect(transport)
    transport.actors.admits = () => refusal("registration_failed", true)
    expect(await peer.register()).toMatchObject({ retryable: true, app_id: peer.appId })
    transport.actors.admits = () => refusal("key_mismatch")
    expect(await peer.register()).toMatchObject({ code: "key_mismatch" })
    transport.actors.admits = () => "accept"
    expect(await peer.register()).toMatchObject({ code: "registration_failed" })
    expect(transport.actors.of("Register")).toHaveLength(2)
    const again = await Peer.connect(transport, { appId: peer.appId })
    expect(await again.register()).toMatchObject({ type: "registered" })
  })

  it("while a registration is under way the same node can't register twice on the socket", async () => {
    const peer = await Peer.connect(transport)
    transport.actors.admits = () => null
    peer.send(peer.registerFrame())
    peer.send(peer.registerFrame())
    await waitUntil("the refusal", () => peer.errors.length === 1)
    expect(transport.actors.pending).toHaveLength(1)
    transport.actors.accept(transport.actors.pending[0]!)
    await waitUntil("registered", () => peer.registered)
  })

  it("a wrong nonce → registration_failed", async () => {
    const peer = await Peer.connect(transport)
    expect(await peer.register({ nonce: randomBytes(32).toString("base64") })).toMatchObject({
      code: "registration_failed"
    })
  })

  it("an envelope that can't be read → registration_failed with the reason", async () => {
    const peer = await Peer.connect(transport)
    const answer = await peer.register({ info: Buffer.from("[]").toString("base64") })
    expect(answer).toMatchObject({ code: "registration_failed" })
    expect((answer as { message: string }).message).toMatch(/^info: /)
  })

  it("an actor that does not answer → unavailable, retryable, and its late session is taken back", async () => {
    await transport.stop()
    transport = await startTransport({}, { answerMs: 200, sweepMs: 50 })
    transport.actors.admits = () => null
    const peer = await Peer.connect(transport)
    expect(await peer.register()).toMatchObject({ code: "unavailable", retryable: true })
    transport.actors.accept(transport.actors.pending[0]!)
    expect(transport.actors.losses(peer.appId)).toEqual(["server"])
    expect(peer.registered).toBeUndefined()
    expect(transport.sockets.stats()).toMatchObject({ sessions: 0, unanswered: 0 })
  })

  it("many nodes on one socket, of both levels, beside legacy sockets", async () => {
    const wire = await Wire.open(transport.url)
    const peers = Array.from({ length: 40 }, (_, i) => new Peer(transport, wire, { signed: i % 2 === 0 }))
    const legacy = await Peer.connect(transport, {}, { dialect: "legacy" })
    await Promise.all([...peers, legacy].map((peer) => peer.register()))
    for (let i = 0; i < 5; i++) for (const peer of [...peers, legacy]) peer.status({ i })
    await waitUntil("all acks", () => [...peers, legacy].every((peer) => peer.acks.length === 5))
    for (const peer of [...peers, legacy]) expect(transport.actors.seqs(peer.appId)).toEqual([1, 2, 3, 4, 5])
    expect(transport.sockets.stats()).toMatchObject({ sockets: 2, sessions: 41 })
  })

  it("a frame of a node without a session → not_registered, and nothing is said about its seq (N7)", async () => {
    const peer = await Peer.connect(transport)
    peer.status()
    await waitUntil("the refusal", () => peer.errors.length === 1)
    expect(peer.errors[0]).toMatchObject({ code: "not_registered", app_id: peer.appId, retryable: false })
    expect(peer.errors[0]).not.toHaveProperty("seq")
    peer.send(peer.statusFrame({}, { bytes: "*" }))
    await waitUntil("the second refusal", () => peer.errors.length === 2)
    expect(peer.errors[1]).toMatchObject({ code: "bad_frame", app_id: peer.appId })
    expect(peer.errors[1]).not.toHaveProperty("seq")
  })

  it("legacy: frames that follow the registration without waiting are delivered in order behind it", async () => {
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    transport.actors.admits = () => null
    peer.send(peer.registerFrame())
    for (let i = 0; i < 3; i++) peer.status()
    await waitUntil("the frames", () => transport.actors.of("Data").length === 3)
    expect(transport.actors.told.map(({ message }) => message._tag)).toEqual(["Register", "Data", "Data", "Data"])
  })

  it("legacy: a newer registration on the same socket replaces the older silently, a refused one restores it", async () => {
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    await peer.register()
    const first = transport.actors.sessions.get(peer.appId)!
    await peer.attach(peer.reRegisterFrame())
    const second = transport.actors.sessions.get(peer.appId)!
    expect(second).not.toBe(first)
    expect(peer.errors).toEqual([])
    transport.actors.admits = () => refusal("key_mismatch")
    expect(await peer.attach(peer.reRegisterFrame())).toMatchObject({ code: "key_mismatch" })
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
    expect(transport.actors.of("Data")[0]!.session).toBe(second)
    expect(transport.sockets.stats().sessions).toBe(1)
  })

  it("legacy: a second registration waits until the first is answered", async () => {
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    transport.actors.admits = () => null
    peer.send(peer.registerFrame())
    peer.send(peer.reRegisterFrame())
    await waitUntil("the pause", () => transport.sockets.stats().paused === 1)
    expect(transport.actors.pending).toHaveLength(1)
    transport.actors.accept(transport.actors.pending[0]!)
    await waitUntil("the second question", () => transport.actors.pending.length === 2)
    transport.actors.reject(transport.actors.pending[1]!, refusal("key_mismatch"))
    await waitUntil("the refusal", () => peer.errors.length === 1)
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
  })

  it("a signed frame that follows its registration at once is verified under the new session's key", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    peer.send(peer.registerFrame())
    peer.status()
    await waitUntil("the ack", () => peer.acks.length === 1)
  })

  it("declare → the child's actor decides; declared or error goes to the parent", async () => {
    const peer = await Peer.connect(transport)
    await peer.register()
    const child = makeEnvelope({ parentId: peer.appId, serverEp: transport.url }, null)
    const answer = peer.next((frame) => frame.type === "declared")
    peer.send({ type: "declare", app_id: peer.appId, incarnation: 1, info: child.info })
    expect(await answer).toEqual({ type: "declared", app_id: peer.appId, child_id: child.appId, sig: null })
    const told = transport.actors.told.find(({ message }) => message._tag === "Declare")!
    expect(told.appId).toBe(child.appId)
    expect(told.message).toMatchObject({ by: { actor: `node:${peer.appId}`, nodeId: peer.appId }, replaces: null })
    transport.actors.declares = () => ({ _tag: "Rejected", error: refusal("parent_sealed") })
    const refused = peer.next((frame) => frame.type === "error")
    peer.send({ type: "declare", app_id: peer.appId, incarnation: 1, info: child.info })
    expect(await refused).toMatchObject({ code: "parent_sealed", app_id: peer.appId })
  })
})

describe("registration, server level signed", () => {
  let transport: Transport
  beforeEach(async () => {
    transport = await startTransport({ minLevel: "signed" })
  })
  afterEach(() => transport.stop())

  it("legacy → level_too_weak by a frame that says why", async () => {
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    const answer = await peer.register()
    expect(answer).toMatchObject({ code: "level_too_weak", retryable: false })
    expect((answer as { message: string }).message).toMatch(/trails\.v1/)
    expect(await peer.attach(peer.reRegisterFrame())).toMatchObject({ code: "level_too_weak" })
    expect(transport.actors.told).toEqual([])
  })

  it("unsigned v1 → level_too_weak, signed and verifiable", async () => {
    const peer = await Peer.connect(transport, {}, { pinned: transport.serverKeys.publicKey })
    expect(await peer.register()).toMatchObject({ code: "level_too_weak" })
    expect(isSealedBy(peer.received[0]!.text, transport.serverKeys.publicKey)).toBe(true)
  })

  it("signed v1 → registered; hello says the level", async () => {
    const peer = await Peer.connect(transport, { signed: true }, { pinned: transport.serverKeys.publicKey })
    expect(peer.wire.hello!.level).toBe("signed")
    expect(await peer.register()).toMatchObject({ type: "registered" })
  })
})
