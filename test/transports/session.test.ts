import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { refusal } from "./FakeActors.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

describe("what a session may send", () => {
  let transport: Transport
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  const registered = async () => {
    const peer = await Peer.connect(transport)
    expect(await peer.register()).toMatchObject({ type: "registered" })
    return peer
  }
  const frames = (peer: Peer, incarnation = 1) => ({
    declare: {
      type: "declare",
      app_id: peer.appId,
      incarnation,
      info: makeEnvelope({ parentId: peer.appId, serverEp: transport.url }, null).info
    },
    subscribe: { type: "subscribe", app_id: peer.appId, incarnation, scope: "children" },
    control_result: {
      type: "control_result",
      app_id: peer.appId,
      incarnation,
      correlation_id: "c",
      ack: false,
      error: "unknown_action"
    }
  })
  const answerTo = async (peer: Peer, frame: object) => {
    const before = peer.errors.length
    peer.send(frame)
    return await waitUntil("the refusal", () => peer.errors[before])
  }
  const told = (tag: "Declare" | "ControlResult") => transport.actors.of(tag).length

  describe.each(["declare", "subscribe"] as const)("%s", (type) => {
    it("in a session that its actor has restricted → terminal, for good (PROTOCOL §4)", async () => {
      const peer = await registered()
      transport.actors.sessions.get(peer.appId)!.restrict()
      expect(await answerTo(peer, frames(peer)[type])).toMatchObject({ code: "terminal", retryable: false })
      expect(told("Declare")).toBe(0)
    })

    it("in a session that was admitted for a cancel alone → terminal, for good", async () => {
      transport.actors.only = "cancel"
      const peer = await registered()
      expect(await answerTo(peer, frames(peer)[type])).toMatchObject({ code: "terminal", retryable: false })
      expect(told("Declare")).toBe(0)
    })
  })

  it("control_result in a restricted session → taken: it is the answer to the cancel", async () => {
    transport.actors.only = "cancel"
    const peer = await registered()
    peer.send(frames(peer).control_result)
    await waitUntil("the answer", () => told("ControlResult") === 1)
  })

  it.each(["declare", "subscribe", "control_result"] as const)(
    "%s of another incarnation than the session's → superseded",
    async (type) => {
      transport.actors.incarnation = 3
      const peer = await registered()
      for (const incarnation of [2, 4]) {
        const answer = await answerTo(peer, frames(peer, incarnation)[type])
        expect(answer).toMatchObject({ code: "superseded", retryable: false, app_id: peer.appId })
      }
      expect(told("Declare") + told("ControlResult")).toBe(0)
    }
  )

  it("declare and control_result of the session's own incarnation → taken", async () => {
    transport.actors.incarnation = 3
    const peer = await registered()
    peer.send(frames(peer, 3).declare)
    peer.send(frames(peer, 3).control_result)
    await waitUntil("both", () => told("Declare") === 1 && told("ControlResult") === 1)
    expect(peer.errors).toEqual([])
  })

  it.each(["declare", "subscribe", "control_result"] as const)(
    "%s before registered → not_registered",
    async (type) => {
      transport.actors.admits = () => null
      const peer = await Peer.connect(transport)
      peer.send(peer.registerFrame())
      expect(await answerTo(peer, frames(peer)[type])).toMatchObject({ code: "not_registered" })
      expect(told("Declare") + told("ControlResult")).toBe(0)
    }
  )

  it.each(["encrypted", "full"] as const)(
    "declare of a child of level %s → level_too_weak: not yet",
    async (secLevel) => {
      const peer = await registered()
      const { info } = makeEnvelope(
        { parentId: peer.appId, serverEp: transport.url, secLevel, serverPubKey: transport.serverKeys.text },
        transport.serverKeys
      )
      const answer = await answerTo(peer, { ...frames(peer).declare, info })
      expect(answer).toMatchObject({ code: "level_too_weak", retryable: false })
      expect(answer.message).toMatch(/not|no level/)
      const child = await Peer.connect(transport, { signed: true })
      expect(await child.register({ info })).toMatchObject({ code: "level_too_weak" })
      expect(told("Declare")).toBe(0)
      expect(transport.actors.of("Register")).toHaveLength(1)
    }
  )
})

describe("frames between a second registration and its answer (legacy)", () => {
  let transport: Transport
  let peer: Peer
  beforeEach(async () => {
    transport = await startTransport()
    peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    expect(await peer.register()).toMatchObject({ type: "registered" })
    peer.status()
    await waitUntil("the first ack", () => peer.acks.length === 1)
    transport.actors.admits = () => null
    peer.send(peer.registerFrame())
    for (let i = 0; i < 3; i++) peer.status()
    await waitUntil("the pause", () => transport.actors.pending.length === 1 && transport.sockets.stats().paused === 1)
  })
  afterEach(() => transport.stop())

  const sessionsOf = (seqs: ReadonlyArray<number>) =>
    transport.actors
      .of("Data", peer.appId)
      .filter(({ decoded: { frame } }) => frame.type === "message" && seqs.includes(frame.header.seq))
      .map(({ session }) => session)

  it("wait for the decision", () => expect(transport.actors.seqs(peer.appId)).toEqual([1]))

  it("rejected → they go to the session that was there, in order, and are acked", async () => {
    const first = transport.actors.sessions.get(peer.appId)!
    transport.actors.reject(transport.actors.pending[0]!, refusal("key_mismatch"))
    await waitUntil("all acks", () => peer.acks.length === 4)
    expect(peer.acks).toEqual([1, 2, 3, 4])
    expect(peer.errors).toMatchObject([{ code: "key_mismatch" }])
    expect(sessionsOf([2, 3, 4])).toEqual([first, first, first])
    expect(transport.sockets.stats()).toMatchObject({ paused: 0, sessions: 1 })
  })

  it("accepted → they go to the new session", async () => {
    transport.actors.accept(transport.actors.pending[0]!)
    await waitUntil("all acks", () => peer.acks.length === 4)
    const second = transport.actors.sessions.get(peer.appId)!
    expect(sessionsOf([2, 3, 4])).toEqual([second, second, second])
    expect(peer.errors).toEqual([])
  })

  it("the socket is lost meanwhile → they are taken after the decision, then the loss", async () => {
    peer.wire.terminate()
    await waitUntil("the socket to be gone", () => transport.sockets.stats().sockets === 0)
    expect(transport.actors.losses()).toEqual([])
    transport.actors.reject(transport.actors.pending[0]!, refusal("key_mismatch"))
    await waitUntil("the loss", () => transport.actors.losses().length === 1)
    expect(transport.actors.seqs(peer.appId)).toEqual([1, 2, 3, 4])
    expect(transport.actors.told.at(-1)!.message._tag).toBe("SocketLost")
  })
})
