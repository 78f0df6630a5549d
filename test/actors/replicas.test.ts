import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { importSeed } from "../../src/actors/Ed25519.ts"
import { sealReplicaMessage } from "../../src/actors/ReplicaOutbox.ts"
import { Database } from "../../src/storage/Database.ts"
import { nodeAddress, nodesAddress } from "../../src/protocol/Subjects.ts"
import { SOUND } from "../harness/LossyBus.ts"
import { seeded } from "../harness/Random.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { embedded, openStorage } from "../storage/openStorage.ts"
import { SERVER } from "./certificates.ts"
import { controls, type ReplicaOptions, TwoReplicas } from "./TwoReplicas.ts"

const storage = openStorage(embedded)
beforeAll(() => storage.runPromise(Database), 60_000)
afterAll(() => storage.dispose())

let two: TwoReplicas
const start = async (options: ReplicaOptions, seed?: number) => {
  two = await TwoReplicas.start(storage, options, seed)
  return two
}
afterEach(() => two.stop())

const LOST = { lose: 1, double: 0, delayMs: 0 }
const ROUGH = { lose: 0.3, double: 0.1, delayMs: 50 }

/** Nodes whose sessions are there. */
const nodes = (count: number) => Promise.all(Array.from({ length: count }, () => two.there.node()))

const ended = async (appId: string) => (await two.here.run(two.here.waiters.ended(appId, 20_000)))?.status

describe("two replicas, by hints alone", () => {
  it("a command through one is told by the other, with the epoch that its row has", async () => {
    const { bus, here, there } = await start({ polls: false })
    const { appId, session } = await there.node()
    const correlationId = await here.command(appId)
    await waitUntil("the session is told", () => controls(session).length === 1)
    expect(controls(session)[0]?.correlation_id).toBe(correlationId)
    const { epoch } = await there.run(there.harness.row(appId))
    const { body } = bus.sent.find(({ subject }) => subject === nodeAddress(there.harness.boot, appId))!
    expect(JSON.parse(body)).toMatchObject({
      v: 1,
      from: here.harness.boot,
      to: there.harness.boot,
      kind: "commanded",
      app_id: appId,
      epoch
    })
    expect([here.sent("commanded"), there.accepted("commanded")]).toEqual([1, 1])
  })

  it("a node that was taken over here is let go there", async () => {
    const { here, there } = await start({ polls: false })
    const { appId, session } = await there.node()
    await here.run(here.harness.moveTo(appId, { owner: here.harness.boot, session: randomUUID() }))
    here.system.hint(appId, there.harness.boot, "moved")
    await waitUntil("its session ends", () => session.ended !== undefined)
    expect(session.ended).toMatchObject({ code: "replaced" })
  })

  it("a command under an epoch that its actor doesn't know makes it read its row", async () => {
    const { here, there } = await start({ polls: false })
    const { appId, session } = await there.node()
    await here.run(here.harness.moveTo(appId, { owner: here.harness.boot, session: randomUUID() }))
    const { epoch } = await here.run(here.harness.row(appId))
    here.system.hint(appId, there.harness.boot, "commanded", epoch - 1)
    await waitUntil("that is heard", () => there.accepted("commanded") === 1)
    await there.run(there.harness.hint(appId, "Commanded"))
    expect(session.ended).toBeUndefined()
    here.system.hint(appId, there.harness.boot, "commanded", epoch)
    await waitUntil("its session ends", () => session.ended !== undefined)
  })

  it("120 nodes hinted at in one turn are three messages, and 10 repetitions none", async () => {
    const { bus, here, there } = await start({ polls: false })
    const { appId, session } = await there.node()
    await here.command(appId)
    await waitUntil("the session is told", () => controls(session).length === 1)
    bus.sent.length = 0
    const others = Array.from({ length: 119 }, () => randomUUID())
    for (const id of [...others, appId]) here.system.hint(id, there.harness.boot, "moved", 1)
    for (const id of others.slice(0, 10)) here.system.hint(id, there.harness.boot, "moved", 1)
    await waitUntil("they are heard", () => there.accepted("moved") === 3)
    const subjects = bus.sent.map(({ subject }) => subject)
    expect(subjects.filter((subject) => subject === nodesAddress(there.harness.boot))).toHaveLength(3)
  })

  it("who waits here for what is committed there is answered by its hint", async () => {
    const { here, there } = await start({ polls: false })
    const { appId, session } = await there.node()
    const end = ended(appId)
    await waitUntil("it waits", async () => (await here.gauge("waiters")) === 1)
    await there.run(there.harness.disconnect(session, appId, 1, "completed"))
    expect(await end).toBe("done")
    expect(here.accepted("log")).toBeGreaterThan(0)
    expect(here.refused("unheeded")).toBeGreaterThan(0)
    // Nobody waits there: what is told of the log is not looked at.
    await here.node()
    await waitUntil("that is told", () => there.refused("unheeded") > 0)
    expect(there.accepted("log")).toBe(0)
  })

  it("who waits here for the answer of a command is answered by its hint too", async () => {
    const { here, there } = await start({ polls: false })
    const { appId, session } = await there.node()
    const correlationId = await here.command(appId)
    await waitUntil("the session is told", () => controls(session).length === 1)
    const look = Effect.map(here.reading(appId, correlationId), (row) => (row?.state === "answered" ? row : null))
    const answer = here.run(here.waiters.logged(appId, 0, look, 20_000))
    await waitUntil("it waits", async () => (await here.gauge("waiters")) === 1)
    await there.run(there.harness.answer(session, appId, correlationId, true, '{"ok":1}'))
    expect(await answer).toMatchObject({ state: "answered", ack: true, result: '{"ok":1}' })
  })
})

describe.each([
  ["nothing arrives", LOST],
  ["all is doubled", { ...SOUND, double: 1 }],
  ["some is lost, some doubled, all is late and overtakes", ROUGH]
])("two replicas while %s", (_, faults) => {
  it("each command is told once and answered, and each end is waited for", async () => {
    const { bus, here, there } = await start({ polls: true }, 7)
    const all = await nodes(12)
    bus.faults = faults
    for (const { appId, correlationId, session } of await two.commandAll(all)) {
      await there.run(there.harness.answer(session, appId, correlationId, true))
    }
    const ends = all.map(({ appId }) => ended(appId))
    for (const { appId, session } of all) await there.run(there.harness.disconnect(session, appId, 1, "completed"))
    expect(await Promise.all(ends)).toEqual(all.map(() => "done"))
    await waitUntil("all has arrived", () => bus.underWay === 0)
    for (const { session } of all) expect(controls(session)).toHaveLength(1)
    expect(there.accepted("commanded") <= here.sent("commanded")).toBe(true)
    expect([there.refused("bad_signature"), there.refused("malformed"), there.refused("target")]).toEqual([0, 0, 0])
  })

  it("a node that was taken over is let go, at the latest when it writes", async () => {
    const { bus, here, there } = await start({ polls: true }, 8)
    const { appId, session } = await there.node()
    bus.faults = faults
    await here.run(here.harness.moveTo(appId, { owner: here.harness.boot, session: randomUUID() }))
    here.system.hint(appId, there.harness.boot, "moved")
    const { n } = await here.run(here.harness.row(appId))
    await there.run(there.harness.say(session, appId, 1))
    await waitUntil("its session ends", () => session.ended !== undefined)
    expect(session.acks()).toEqual([])
    expect((await here.run(here.harness.row(appId))).n).toBe(n)
  })
})

describe("10,000 forged messages", () => {
  it("change nothing, are all counted, and leave the replica as it was", async () => {
    const { bus, here, there } = await start({ polls: false })
    const [node] = await nodes(1)
    const { appId, session } = node!
    const { boot } = there.harness
    await two.commandAll([node!])
    const before = await there.run(there.harness.row(appId))
    const sent = session.sent.length
    const heard = there.accepted("commanded")
    const refused = await there.refusals()
    const genuine = bus.sent.find(({ subject }) => subject === nodeAddress(boot, appId))!
    const random = seeded(5)
    const [server, stranger] = [importSeed(SERVER.seed), importSeed(random.bytes(32))]
    const message = (at: number, to: string) => ({
      from: here.harness.boot,
      to,
      at,
      nonce: random.bytes(16).toString("base64"),
      content: { kind: "commanded" as const, nodes: [{ appId, epoch: before.epoch + 1 }] }
    })
    const subject = nodeAddress(boot, appId)
    const forge = [
      () => ({ subject, body: sealReplicaMessage(stranger, message(Date.now(), boot)) }),
      () => ({ subject, body: sealReplicaMessage(server, message(Date.now() - 120_000, boot)) }),
      () => ({ subject, body: sealReplicaMessage(server, message(Date.now(), here.harness.boot)) }),
      () => ({ subject: nodeAddress(boot, randomUUID()), body: sealReplicaMessage(server, message(Date.now(), boot)) }),
      () => genuine,
      () => ({ subject, body: "commanded" }),
      () => ({ subject, body: genuine.body.slice(0, 1 + random.int(genuine.body.length - 1)) })
    ]
    for (let i = 0; i < 10_000; i++) bus.inject(forge[i % forge.length]!())
    await waitUntil("all are refused", async () => (await there.refusals()) - refused >= 10_000)
    expect((await there.refusals()) - refused).toBe(10_000)
    // What an operator could mend is said, and once: another key, and another time.
    const said = there.lines.filter((line) => line.startsWith("a message between replicas"))
    expect(said.map((line) => /TRAILS_SERVER_KEY_FILE|NTP/.exec(line)?.[0])).toEqual(["TRAILS_SERVER_KEY_FILE", "NTP"])
    expect(there.accepted("commanded")).toBe(heard)
    expect(await there.run(there.harness.row(appId))).toEqual({ ...before, readAt: expect.any(Number) })
    expect([session.sent.length, session.ended]).toEqual([sent, undefined])
    await waitUntil("a genuine one is heard again", async () => {
      here.system.hint(appId, boot, "commanded", before.epoch)
      return there.accepted("commanded") > heard
    })
  })
})
