import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { unsealed } from "../harness/Keypair.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { refusal } from "./FakeActors.ts"
import { Peer } from "./Peer.ts"
import { startTransport, type Transport } from "./startTransport.ts"

const nonce = Buffer.alloc(32, 7).toString("base64")

/** docs/protocol.md §8, docs/decisions/0031 */
describe("an error says what it is about, so that a recording of it ends nothing else", () => {
  let transport: Transport
  beforeEach(async () => {
    transport = await startTransport()
  })
  afterEach(() => transport.stop())

  it("refused by the node's actor → the attempt's client_nonce, no session", async () => {
    transport.actors.admits = () => refusal("terminal")
    const peer = await Peer.connect(transport, { signed: true })
    const answer = await peer.register({ client_nonce: nonce })
    expect(answer).toMatchObject({ code: "terminal", client_nonce: nonce, pub_key: peer.keys.text })
    expect(answer).not.toHaveProperty("session")
  })

  it.each(["registration_failed", "level_too_weak"])(
    "refused by the transport (%s) → the client_nonce",
    async (code) => {
      const peer = await Peer.connect(transport, { signed: true })
      const changes =
        code === "registration_failed"
          ? { nonce: Buffer.alloc(32).toString("base64") }
          : {
              info: makeEnvelope(
                {
                  appId: peer.appId,
                  serverEp: transport.url,
                  secLevel: "full",
                  serverPubKey: transport.serverKeys.text
                },
                null
              ).info
            }
      const bound = { code, client_nonce: nonce, pub_key: peer.keys.text }
      expect(await peer.register({ client_nonce: nonce, ...changes })).toMatchObject(bound)
    }
  )

  it("refused although its signature was stripped or broken → no client_nonce: whose attempt it was is not known", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    const changes = { client_nonce: nonce, nonce: Buffer.alloc(32).toString("base64") }
    const stripped = `${JSON.stringify(peer.registerFrame(changes)).slice(0, -1)},"sig":null}`
    const broken = peer.sealed(peer.registerFrame(changes)).replace('"app_name":"peer"', '"app_name":"peek"')
    for (const text of [stripped, broken]) {
      const before = peer.errors.length
      peer.wire.send(text)
      const error = await waitUntil("the refusal", () => peer.errors[before])
      expect(error).not.toHaveProperty("client_nonce")
    }
    expect(peer.errors.map(({ code }) => code)).toEqual(["registration_failed", "bad_signature"])
  })

  it("in a session → that session, and no client_nonce", async () => {
    const peer = await Peer.connect(transport, { signed: true })
    await peer.register({ client_nonce: nonce })
    transport.actors.sessions.get(peer.appId)!.end(refusal("unavailable", true))
    const error = await waitUntil("the error", () => peer.errors[0])
    expect(error).toMatchObject({ code: "unavailable", session: peer.registered!.session })
    expect(error).not.toHaveProperty("client_nonce")
  })

  it("of frames that somebody pushes behind a registration that is being answered → nothing of that attempt", async () => {
    transport.actors.admits = () => null
    const peer = await Peer.connect(transport, { signed: true })
    peer.send(peer.registerFrame({ client_nonce: nonce }))
    await waitUntil("it is asked", () => transport.actors.pending.length === 1)
    const thief = new Peer(transport, peer.wire, { signed: true, appId: peer.appId })
    peer.wire.listen(peer.appId, (received) => peer.received.push(received))
    const theirs = { client_nonce: Buffer.alloc(32, 8).toString("base64") }
    thief.send(thief.registerFrame({ ...theirs, server_key: thief.keys.text }))
    peer.wire.send(unsealed(JSON.stringify(thief.registerFrame({ client_nonce: nonce, server_key: thief.keys.text }))))
    peer.send({ type: "subscribe", app_id: peer.appId, incarnation: 7, scope: "children" })
    await waitUntil("three refusals", () => peer.errors.length === 3)
    expect(peer.errors.map(({ client_nonce, code, pub_key }) => [code, client_nonce, pub_key])).toEqual([
      ["registration_failed", theirs.client_nonce, thief.keys.text],
      ["registration_failed", undefined, undefined],
      ["not_registered", undefined, undefined]
    ])
    expect(peer.errors.filter((error) => "session" in error)).toEqual([])
    transport.actors.accept(transport.actors.pending[0]!)
    await waitUntil("the answer", () => peer.registered?.client_nonce === nonce)
    // The session is there: what is said about another registration does not name it.
    thief.send(thief.registerFrame({ ...theirs, server_key: thief.keys.text }))
    const error = await waitUntil("the refusal", () => peer.errors[3])
    expect(error).toMatchObject({ code: "registration_failed", client_nonce: theirs.client_nonce })
    expect(error).not.toHaveProperty("session")
  })

  it("of a declaration → the child", async () => {
    transport.actors.declares = () => ({ _tag: "Rejected", error: refusal("parent_sealed") })
    const peer = await Peer.connect(transport)
    await peer.register()
    const child = makeEnvelope({ parentId: peer.appId, serverEp: transport.url }, null)
    peer.send({ type: "declare", app_id: peer.appId, incarnation: 1, info: child.info })
    const error = await waitUntil("the refusal", () => peer.errors[0])
    expect(error).toMatchObject({ code: "parent_sealed", app_id: peer.appId, child_id: child.appId })
  })

  it("to a legacy client → as ever", async () => {
    transport.actors.admits = () => refusal("key_mismatch")
    const peer = await Peer.connect(transport, {}, { dialect: "legacy" })
    const answer = await peer.register()
    expect(answer).toMatchObject({ code: "key_mismatch" })
    expect(answer).not.toHaveProperty("session")
    expect(answer).not.toHaveProperty("client_nonce")
  })
})
