import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { makeInit } from "../../src/client/init.ts"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { type Keypair, keypairFromSeed, makeKeypair, seal, unsealed } from "../harness/Keypair.ts"
import { type Random, seeded } from "../harness/Random.ts"
import { RawNode } from "../harness/RawNode.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { makeEnvelope, type TestEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Wire } from "../harness/Wire.ts"
import { impatient } from "./hijack/impatient.ts"
import { type Meddle, Meddler } from "./hijack/Meddler.ts"

const TRIES = 1000
const SHUTDOWN_MS = 60_000

const database = await freshDatabase()
let server: Trailsd
let meddler: Meddler

beforeAll(async () => {
  server = await Trailsd.start({ databaseUrl: database.url })
})
afterAll(async () => {
  await server.dispose()
  await database.drop()
})
beforeEach(async () => {
  meddler = await Meddler.inFrontOf(server.url)
})
afterEach(() => meddler.close())

interface Device {
  readonly node: TrailsNode
  readonly envelope: TestEnvelope
  readonly keys: Keypair
  readonly warnings: Array<string>
  cancels: number
}

/**
 * A device that has rebooted: somebody has recorded its first incarnation, and it is in its second. `onReboot` gets what the
 * server said in the first one, from `hello` on.
 */
const rebooted = async (
  random: Random,
  onReboot: (recording: ReadonlyArray<string>) => void = () => {}
): Promise<Device> => {
  const seed = random.bytes(32)
  const keys = keypairFromSeed(seed)
  const envelope = makeEnvelope(
    {
      serverEp: meddler.url,
      serverPubKey: server.serverKey.text,
      secLevel: "signed",
      startDeadline: 0,
      childKey: keys.text
    },
    server.serverKey
  )
  const before = new RawNode(envelope, { keys, serverKey: server.serverKey.text })
  const wire = await Wire.open(meddler.url, { pinned: server.serverKey.publicKey })
  await before.register(wire)
  before.status({ old: true })
  await waitUntil("it is acked", () => before.inFlight === 0)
  wire.terminate()
  onReboot(meddler.connections[0]!.fromServer)
  const warnings: Array<string> = []
  const device = { envelope, keys, warnings, cancels: 0 }
  const node = await makeInit(impatient)({
    info: envelope.info,
    seed,
    warn: (text) => warnings.push(text),
    onCancel: () => void made.cancels++
  })
  const made: Device = Object.assign(device, { node })
  return made
}

interface Said {
  readonly type: string
  readonly nonce: string
  readonly client_nonce: string
  readonly header?: { readonly seq: number; readonly msg_type: string }
}

const sealed = (frame: object, keys: Keypair): string => seal("trails.v1.child", JSON.stringify(frame), keys.secretKey)

/** What the device has said in its first incarnation, with this seq. */
const recorded = ({ envelope, keys }: Device, seq: number): string =>
  sealed(
    {
      type: "message",
      app_id: envelope.appId,
      incarnation: 1,
      start_day: 1,
      header: { msg_type: "Status", timestamp: 1, seq, correlation_id: null },
      payload: { old: true }
    },
    keys
  )

/** A registration of the device by somebody else's key, which copies what is not secret of the device's own. */
const forged = (
  { envelope }: Device,
  { client_nonce, nonce }: Said,
  thief: Keypair,
  changes: Readonly<Record<string, unknown>>
): object => ({
  type: "register",
  nonce,
  client_nonce,
  server_key: server.serverKey.text,
  app_id: envelope.appId,
  parent_id: null,
  app_name: "thief",
  child_pub_key: thief.text,
  process_info: { pid: 1, ppid: 1, uid: 0, gid: 0, hostname: "thief", start_time: 1, executable: "/thief" },
  role_refs: [],
  start_day: 1,
  info: envelope.info,
  ...changes
})

/** Somebody in the way who adds frames to those of the device, and takes none of its reports away. */
const intruder = (device: Device, random: Random, onTry: () => void): Meddle => {
  const thief = makeKeypair()
  const { appId } = device.envelope
  return (text) => {
    const said = JSON.parse(text) as Said
    if (said.header !== undefined) {
      if (random.int(4) > 0) return [text]
      onTry()
      const old = recorded(device, said.header.seq)
      const others = ["subscribe", "disconnect", "control_result"].map((type) => ({
        type,
        app_id: appId,
        incarnation: 1
      }))
      const [subscribe, disconnect, answer] = others.map((frame) =>
        sealed(
          { ...frame, scope: "children", seq: 9, reason: "completed", correlation_id: "c", ack: false, error: "e" },
          device.keys
        )
      )
      return [random.pick([old, subscribe!, disconnect!, answer!]), text]
    }
    if (!said.type.endsWith("register")) return [text]
    onTry()
    const byThief = sealed(forged(device, said, thief, {}), thief)
    const elsewhere = sealed(forged(device, said, thief, { server_key: thief.text }), thief)
    const stripped = unsealed(JSON.stringify(forged(device, said, device.keys, { server_key: thief.text })))
    const subscribe = sealed({ type: "subscribe", app_id: appId, incarnation: 1, scope: "children" }, device.keys)
    return random.pick([
      [byThief],
      [byThief, text],
      [text, byThief],
      [elsewhere],
      [text, elsewhere],
      [text, stripped],
      [text, subscribe],
      [subscribe, text]
    ])
  }
}

const storedSeqs = async (appId: string): Promise<ReadonlyArray<number>> =>
  (
    await queryPostgres(
      database.url,
      "SELECT seq FROM node_log WHERE app_id = $1 AND incarnation > 1 AND kind IN ('status', 'result') ORDER BY n",
      [appId]
    )
  ).map(({ seq }) => Number(seq))

describe(`intruding between a node and its server, ${TRIES} tries each`, () => {
  it("recorded frames of an earlier incarnation, and registrations by other keys with the node's nonces, are pushed in → it never gives up, and nothing is lost", async () => {
    const random = seeded(8)
    const device = await rebooted(random)
    const { envelope, keys, node } = device
    let tries = 0
    meddler.toServer = intruder(device, random, () => tries++)
    let said = 0
    await waitUntil(
      `${TRIES} tries`,
      async () => {
        for (let i = 0; i < 3 && node.stats().waiting < 100; i++) node.status({ n: ++said })
        if (random.int(4) === 0) meddler.cutAll()
        expect(node.stats(), device.warnings.join()).toMatchObject({
          refused: 0,
          state: expect.not.stringMatching("refused")
        })
        expect(node.stats().acked).toBeLessThanOrEqual((await storedSeqs(envelope.appId)).length)
        return tries >= TRIES
      },
      { withinMs: 120_000, everyMs: 5 }
    )
    // The Result is kept back, and the recording of the same seq goes in its place.
    let withheld = 0
    meddler.toServer = (text) => {
      const { header } = JSON.parse(text) as Said
      if (header?.msg_type !== "Result" || withheld === 20) return [text]
      withheld++
      return [recorded(device, header.seq)]
    }
    node.result({ end: true })
    expect(await node.shutdown({ timeoutMs: SHUTDOWN_MS }), JSON.stringify([node.stats(), device.warnings])).toBe(true)
    expect(withheld).toBe(20)
    expect(await storedSeqs(envelope.appId)).toEqual(Array.from({ length: said + 1 }, (_, i) => i + 1))
    const [row] = await queryPostgres(database.url, "SELECT pub_key FROM apps WHERE app_id = $1", [envelope.appId])
    expect(row).toMatchObject({ pub_key: keys.text })
    expect(device.cancels).toBe(0)
  })

  it("the server's whole conversation with an earlier incarnation is played to the next one → never attached, nothing acked", async () => {
    let tries = 0
    const device = await rebooted(seeded(10), ([hello, ...rest]) => {
      expect(rest.length).toBeGreaterThan(1)
      meddler.toServer = (_, connection) => {
        tries++
        for (const text of rest) connection.inject(text)
        setImmediate(() => meddler.cutAll())
        return []
      }
      meddler.toClient = (text) => (text.includes('"type":"hello"') ? [hello!] : [])
    })
    const { envelope, node, warnings } = device
    node.status({ n: 1 })
    await waitUntil(
      `${TRIES} tries`,
      () => {
        expect(node.stats(), warnings.join()).toMatchObject({
          state: "connecting",
          acked: 0,
          waiting: 1,
          reconnects: 0
        })
        return tries >= TRIES
      },
      { withinMs: 60_000 }
    )
    meddler.toClient = (text) => [text]
    meddler.toServer = (text) => [text]
    node.result({ end: true })
    expect(await node.shutdown({ timeoutMs: SHUTDOWN_MS }), JSON.stringify([node.stats(), warnings])).toBe(true)
    expect(await storedSeqs(envelope.appId)).toEqual([1, 2])
  })

  it("a true command is repeated, and given again under other ids → the hook runs once, and all get its answer", async () => {
    const device = await rebooted(seeded(9))
    const { node } = device
    await waitUntil("it is attached", () => node.stats().state === "attached")
    const connection = meddler.connections.at(-1)!
    const registered = connection.fromServer.find((text) => text.includes('"type":"registered"'))!
    const { app_id, epoch, incarnation, session } = JSON.parse(registered) as Readonly<Record<string, unknown>>
    const command = (id: string): string =>
      seal(
        "trails.v1.server",
        JSON.stringify({
          type: "control",
          app_id,
          incarnation,
          session,
          epoch,
          action: "cancel",
          correlation_id: id,
          payload: { reason: "true", graceMs: 1000 },
          issued_by: "server",
          issued_at: Date.now(),
          expires_at: Date.now() + 600_000
        }),
        server.serverKey.secretKey
      )
    const once = command("once")
    for (let i = 0; i < TRIES; i++) connection.inject(i % 4 === 3 ? command(`again ${i}`) : once)
    await waitUntil("it has ended", () => node.stats().state === "ended")
    expect(device.cancels).toBe(1)
    const answers = connection.fromClient
      .map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
      .filter(({ type }) => type === "control_result")
    expect(answers.length).toBeGreaterThan(0)
    expect(answers.filter(({ ack }) => ack !== true)).toEqual([])
  })
})
