import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { ErrorFrame, ServerFrame } from "../../src/protocol/Frames.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { makeKeypair, seal } from "../harness/Keypair.ts"
import { seeded } from "../harness/Random.ts"
import { RawNode } from "../harness/RawNode.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { makeEnvelope, type TestEnvelope } from "../harness/TestEnvelope.ts"
import { attach, childOf, dial, rootOf } from "../harness/TestNode.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import type { Wire } from "../harness/Wire.ts"

/** Each row of the table is tried so often: each of the victims from each of the sockets, whose nonce it spends. */
const VICTIMS = 50
const SOCKETS = 20

const database = await freshDatabase()
let server: Trailsd
let parent: RawNode
let parentWire: Wire

beforeAll(async () => {
  server = await Trailsd.start({ databaseUrl: database.url })
  parent = rootOf(server, { level: "signed", startDeadline: 0 })
  parentWire = await attach(server, parent)
})
afterAll(async () => {
  await server.dispose()
  await database.drop()
})

const declare = async (child: RawNode): Promise<void> => {
  const declared = parentWire.receive(
    "declared",
    (frame) => frame.type === "declared" && frame.child_id === child.appId,
    20_000
  )
  parentWire.listen(parent.appId, null)
  const { appId, incarnation } = parent
  parentWire.send(parent.sealed({ type: "declare", app_id: appId, incarnation, info: child.envelope.info }))
  await declared
}

const victims = (): ReadonlyArray<RawNode> =>
  Array.from({ length: VICTIMS }, () => childOf(server, parent, { startDeadline: 600 }))

/** Victims that are attached, by one socket of their own. */
const attached = async (): Promise<{
  readonly nodes: ReadonlyArray<RawNode>
  readonly wire: Wire
  readonly sent: Map<string, Array<string>>
}> => {
  const nodes = victims()
  const wire = await dial(server)
  const sent = new Map<string, Array<string>>()
  const send = wire.send.bind(wire)
  // What somebody on the way records.
  wire.send = (text) => {
    const appId = (JSON.parse(text) as { readonly app_id: string }).app_id
    sent.set(appId, [...(sent.get(appId) ?? []), text])
    send(text)
  }
  for (const node of nodes) {
    await node.register(wire)
    node.status({ mine: 1 })
  }
  await waitUntil("all are acked", () => nodes.every((node) => node.inFlight === 0))
  return { nodes, wire, sent }
}

/** A thief's socket: it carries a node of his own, so that refusals do not close it. */
const thiefSocket = async (): Promise<Wire> =>
  await attach(server, rootOf(server, { level: "signed", startDeadline: 0 }))

const answerTo = async (wire: Wire, appId: string, text: string): Promise<ServerFrame> => {
  const answer = wire.receive(
    `an answer about ${appId}`,
    (frame) => "app_id" in frame && frame.app_id === appId,
    20_000
  )
  wire.send(text)
  return (await answer).frame
}

/** Tries each victim from each socket, and gives the codes that came back. */
const siege = async (
  nodes: ReadonlyArray<RawNode>,
  attempt: (victim: RawNode, wire: Wire, nth: number) => string,
  open: () => Promise<Wire> = thiefSocket
): Promise<ReadonlyMap<string, number>> => {
  const codes = new Map<string, number>()
  await Promise.all(
    Array.from({ length: SOCKETS }, async (_, socket) => {
      const wire = await open()
      for (const [index, victim] of nodes.entries()) {
        const frame = await answerTo(wire, victim.appId, attempt(victim, wire, socket * VICTIMS + index))
        const code = frame.type === "error" ? frame.code : frame.type
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
      wire.terminate()
    })
  )
  expect([...codes.values()].reduce((sum, count) => sum + count, 0)).toBe(VICTIMS * SOCKETS)
  return codes
}

const lastId = async (): Promise<number> =>
  Number((await queryPostgres(database.url, "SELECT coalesce(max(id), 0) AS id FROM node_log"))[0]!.id)

/** Log rows of the victims since then, by kind. Nothing but `impostor` may be there. */
const traces = async (nodes: ReadonlyArray<RawNode>, since: number): Promise<Readonly<Record<string, number>>> => {
  const rows = await queryPostgres(
    database.url,
    "SELECT kind, count(*)::int AS n FROM node_log WHERE app_id = ANY($1) AND id > $2 GROUP BY kind",
    [nodes.map(({ appId }) => appId), since]
  )
  return Object.fromEntries(rows.map(({ kind, n }) => [String(kind), Number(n)]))
}

/** They live, under their own key, and go on. */
const unharmed = async (nodes: ReadonlyArray<RawNode>): Promise<void> => {
  for (const node of nodes) node.status({ mine: 2 })
  await waitUntil("every victim is acked", () => nodes.every((node) => node.inFlight === 0 && node.errors.length === 0))
}

const registerText = (victim: RawNode, wire: Wire, envelope: TestEnvelope, keys = makeKeypair()): string =>
  seal(
    "trails.v1.child",
    JSON.stringify({
      type: "register",
      nonce: wire.hello!.nonce,
      client_nonce: Buffer.from(keys.text).subarray(0, 32).toString("base64"),
      server_key: server.serverKey.text,
      app_id: victim.appId,
      parent_id: parent.appId,
      app_name: "thief",
      child_pub_key: keys.text,
      process_info: { pid: 1, ppid: 1, uid: 0, gid: 0, hostname: "thief", start_time: 1, executable: "/thief" },
      role_refs: [],
      start_day: 1,
      info: envelope.info
    }),
    keys.secretKey
  )

const reRegisterText = (victim: RawNode, wire: Wire, pubKey: string, signer = makeKeypair()): string =>
  seal(
    "trails.v1.child",
    JSON.stringify({
      type: "re_register",
      nonce: wire.hello!.nonce,
      client_nonce: Buffer.alloc(32, 1).toString("base64"),
      server_key: server.serverKey.text,
      app_id: victim.appId,
      incarnation: victim.incarnation,
      last_seq: 0,
      pub_key: pubKey
    }),
    signer.secretKey
  )

/** Of the envelope that the victim's parent would make for it. */
const fields = (victim: RawNode) => ({
  appId: victim.appId,
  parentId: parent.appId,
  serverEp: server.url,
  serverPubKey: server.serverKey.text,
  secLevel: "signed" as const
})

const total = VICTIMS * SOCKETS

describe(`hijacking a node, ${total} tries each`, () => {
  it("a thief registers first, with a ticket that is forged, expired, of another child, or none → 0", async () => {
    const nodes = victims()
    for (const node of nodes) await declare(node)
    const since = await lastId()
    const foreign = makeKeypair()
    const tickets: ReadonlyArray<(victim: RawNode) => TestEnvelope> = [
      (victim) => makeEnvelope(fields(victim), foreign),
      (victim) =>
        makeEnvelope({ ...fields(victim), scheduledAt: Date.now() - 3_600_000, startDeadline: 60 }, parent.keys),
      () => childOf(server, parent).envelope,
      (victim) => makeEnvelope(fields(victim), null)
    ]
    const codes = await siege(nodes, (victim, wire, nth) => registerText(victim, wire, tickets[nth % 4]!(victim)))
    expect(Object.fromEntries(codes)).toEqual({ ticket_invalid: total })
    const seen = await traces(nodes, since)
    expect(Object.keys(seen)).toEqual(["impostor"])
    // The children themselves are welcome.
    const wire = await dial(server)
    for (const node of nodes) expect((await node.register(wire)).incarnation).toBe(1)
    wire.terminate()
  })

  it("a thief registers in place of a child that nobody has declared, with a ticket that is forged, by another issuer, of another child, or none → 0", async () => {
    const nodes = victims()
    const foreign = makeKeypair()
    const tickets: ReadonlyArray<(victim: RawNode) => TestEnvelope> = [
      (victim) => makeEnvelope(fields(victim), foreign),
      (victim) => makeEnvelope(fields(victim), server.serverKey),
      () => childOf(server, parent).envelope,
      (victim) => makeEnvelope(fields(victim), null)
    ]
    const codes = await siege(nodes, (victim, wire, nth) => registerText(victim, wire, tickets[nth % 4]!(victim)))
    expect(Object.fromEntries(codes)).toEqual({ ticket_invalid: total })
    expect(await traces(nodes, 0)).toEqual({})
    const wire = await dial(server)
    for (const node of nodes) expect((await node.register(wire)).incarnation).toBe(1)
    wire.terminate()
  })

  it("a thief registers with the child's own ticket after the child did → 0, and the parent sees an impostor", async () => {
    const { nodes, wire } = await attached()
    const since = await lastId()
    const codes = await siege(nodes, (victim, thief) => registerText(victim, thief, victim.envelope))
    expect(Object.fromEntries(codes)).toEqual({ key_mismatch: total })
    expect(Object.keys(await traces(nodes, since))).toEqual(["impostor"])
    await unharmed(nodes)
    wire.terminate()
  })

  it("a thief registers first where the envelope names the childKey → 0", async () => {
    const nodes = Array.from({ length: VICTIMS }, () => {
      const keys = makeKeypair()
      return childOf(server, parent, { childKey: keys.text, startDeadline: 600 }, { keys })
    })
    for (const node of nodes) await declare(node)
    const since = await lastId()
    const codes = await siege(nodes, (victim, wire) => registerText(victim, wire, victim.envelope))
    expect(Object.fromEntries(codes)).toEqual({ key_mismatch: total })
    expect(Object.keys(await traces(nodes, since))).toEqual(["impostor"])
    const wire = await dial(server)
    for (const node of nodes) await node.register(wire)
    wire.terminate()
  })

  it("re_register by somebody who knows the public key only → 0", async () => {
    const { nodes, wire } = await attached()
    const since = await lastId()
    const other = makeKeypair()
    const codes = await siege(nodes, (victim, thief, nth) =>
      nth % 2 === 0 ? reRegisterText(victim, thief, victim.keys.text) : reRegisterText(victim, thief, other.text, other)
    )
    expect(Object.fromEntries(codes)).toEqual({ bad_signature: total / 2, key_mismatch: total / 2 })
    expect(Object.keys(await traces(nodes, since))).toEqual(["impostor"])
    await unharmed(nodes)
    wire.terminate()
  })

  it("a recorded register or re_register is sent again, elsewhere and on the same socket → 0", async () => {
    const { nodes, sent, wire } = await attached()
    const again = await dial(server)
    const recorded = new Map(nodes.map(({ appId }) => [appId, [sent.get(appId)![0]!]]))
    const send = again.send.bind(again)
    again.send = (text) => {
      const { app_id, type } = JSON.parse(text) as { readonly app_id: string; readonly type: string }
      if (type === "re_register") recorded.get(app_id)!.push(text)
      send(text)
    }
    for (const node of nodes) await node.reRegister(again)
    again.send = send
    const since = await lastId()
    const codes = await siege(nodes, (victim, _, nth) => recorded.get(victim.appId)![nth % 2]!)
    expect(Object.fromEntries(codes)).toEqual({ registration_failed: total })
    for (const node of nodes) {
      node.errors.length = 0
      for (let i = 0; i < SOCKETS; i++) again.send(recorded.get(node.appId)![i % 2]!)
      node.status({ mine: 2 })
    }
    await waitUntil("every session goes on", () => nodes.every(({ inFlight }) => inFlight === 0))
    expect(new Set(nodes.flatMap(({ errors }) => errors.map(({ code }) => code)))).toEqual(
      new Set(["registration_failed"])
    )
    expect(await traces(nodes, since)).toEqual({ status: VICTIMS })
    wire.terminate()
    again.terminate()
  })

  it("a legacy client on a signed node → 0", async () => {
    const { nodes, wire } = await attached()
    const since = await lastId()
    const texts: ReadonlyArray<(victim: RawNode) => object> = [
      (victim) => ({
        type: "register",
        app_id: victim.appId,
        parent_id: parent.appId,
        app_name: "legacy",
        child_pub_key: victim.keys.text,
        process_info: { pid: 1, ppid: 1, uid: 0, gid: 0, hostname: "h", start_time: 1, executable: "/x" },
        role_refs: [],
        sig: null
      }),
      (victim) => ({ type: "re_register", app_id: victim.appId, last_seq: 0, pub_key: victim.keys.text, sig: null }),
      (victim) => ({
        type: "message",
        app_id: victim.appId,
        header: { msg_type: "Result", timestamp: 1, seq: 99, correlation_id: null },
        payload: { stolen: true },
        sig: null
      })
    ]
    const codes = await siege(
      nodes,
      (victim, _, nth) => JSON.stringify(texts[nth % 3]!(victim)),
      async () => {
        const thief = await dial(server, { dialect: "legacy" })
        const own = makeEnvelope({ serverEp: server.url }, null)
        expect(
          await answerTo(thief, own.appId, JSON.stringify({ ...texts[0]!(new RawNode(own)), parent_id: null }))
        ).toMatchObject({ type: "registered" })
        return thief
      }
    )
    expect([...codes.keys()].toSorted()).toEqual(["level_too_weak", "not_registered"])
    expect(await traces(nodes, since)).toEqual({})
    await unharmed(nodes)
    wire.terminate()
  })
})

describe(`moving signed frames, ${total} tries each`, () => {
  it("verbatim, on a socket that has no session of the node → 0", async () => {
    const { nodes, sent, wire } = await attached()
    const since = await lastId()
    const codes = await siege(nodes, (victim) => sent.get(victim.appId)![1]!)
    expect(Object.fromEntries(codes)).toEqual({ not_registered: total })
    expect(await traces(nodes, since)).toEqual({})
    wire.terminate()
  })

  it("to another node: any change of app_id, incarnation or type breaks the signature → 0", async () => {
    const { nodes, sent, wire } = await attached()
    const random = seeded(7)
    let refused = 0
    const rounds = total / VICTIMS
    for (let round = 0; round < rounds; round++) {
      const thiefWire = await dial(server)
      const thieves = Array.from({ length: VICTIMS }, () => rootOf(server, { level: "signed", startDeadline: 0 }))
      for (const thief of thieves) await thief.register(thiefWire)
      const since = await lastId()
      await Promise.all(
        thieves.map(async (thief, index) => {
          const victim = nodes[index]!
          const stolen = sent.get(victim.appId)![1]!
          const moved = stolen.replace(victim.appId, thief.appId)
          const text = random.pick([
            moved,
            moved.replace('"incarnation":1', '"incarnation":2'),
            moved.replace('"msg_type":"Status"', '"msg_type":"Result"')
          ])
          thiefWire.listen(thief.appId, null)
          const answer = (await answerTo(thiefWire, thief.appId, text)) as ErrorFrame
          if (answer.code === "bad_signature") refused++
        })
      )
      expect(await traces([...thieves, ...nodes], since)).toSatisfy((seen: Readonly<Record<string, number>>) =>
        Object.keys(seen).every((kind) => kind === "reconnecting")
      )
      thiefWire.terminate()
    }
    expect(refused).toBe(total)
    await unharmed(nodes)
    wire.terminate()
  })

  it("to a later incarnation of the same node → 0", async () => {
    const { nodes, sent, wire } = await attached()
    const later = await dial(server)
    for (const node of nodes) expect((await node.register(later)).incarnation).toBe(2)
    const since = await lastId()
    let refused = 0
    for (const node of nodes) {
      node.onFrame = (frame) => {
        if (frame.type === "error" && frame.code === "superseded") refused++
      }
      for (let i = 0; i < SOCKETS; i++) later.send(sent.get(node.appId)![1]!)
    }
    await waitUntil("every copy is refused", () => refused === total, { withinMs: 30_000 })
    expect(await traces(nodes, since)).toEqual({})
    wire.terminate()
    later.terminate()
  })
})
