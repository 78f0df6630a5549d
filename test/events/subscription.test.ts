import { jetstreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { sha256 } from "../../src/actors/Ed25519.ts"
import {
  type BadEvent,
  type ReceivedEvent,
  registeredFromStream,
  subscribe,
  type SubscribeOptions,
  subjectsOf,
  Verifier
} from "../../src/events/index.ts"
import { treeEventSubject } from "../../src/protocol/Subjects.ts"
import type { TreeEvent } from "../../src/protocol/TreeEvent.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { STREAM } from "../harness/StreamReader.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { EventMaker } from "./EventMaker.ts"

let server: NatsServer
let connection: NatsConnection
const cleanUp: Array<() => unknown> = []

const makeStream = async () => {
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: STREAM, subjects: ["trails.>"] })
  return manager
}
beforeEach(async () => {
  server = await NatsServer.start({ jetstream: true })
  connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
})
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step()
  await connection.close()
  await server.dispose()
})

const put = async (event: TreeEvent, subject?: string) => {
  const { kind, namespace, path } = event.data
  connection.publish(subject ?? treeEventSubject(namespace, kind, path, sha256), JSON.stringify(event))
  await connection.flush()
}
/** Reads on in the background. */
const reading = (options: Partial<SubscribeOptions> = {}) => {
  const seen: Array<ReceivedEvent> = []
  const bad: Array<BadEvent> = []
  const troubles: Array<Error> = []
  const subscription = subscribe(connection, {
    name: "test",
    onBad: (one) => bad.push(one),
    onTrouble: (error) => troubles.push(error),
    ...options
  })
  const done = (async () => {
    for await (const event of subscription) seen.push(event)
  })()
  const stop = async () => {
    subscription.close()
    await done
  }
  cleanUp.push(stop)
  return { seen, bad, troubles, subscription, stop, ids: () => seen.map(({ id }) => id) }
}

describe("filters", () => {
  it("are subjects: by namespace, kinds and subtree", () => {
    const node = new EventMaker(new EventMaker())
    const place = node.path.map((appId) => treeEventSubject("x", "status", [appId], sha256).split(".")[3]).join(".")
    expect(subjectsOf({})).toEqual(["trails.*.*.>"])
    expect(subjectsOf({ namespace: "etl", kinds: ["crash", "error"] })).toEqual([
      "trails.etl.crash.>",
      "trails.etl.error.>"
    ])
    expect(subjectsOf({ subtree: node.path })).toEqual([`trails.*.*.${place}.>`])
    expect(() => subjectsOf({ subtree: ["no-uuid"] })).toThrow(TypeError)
  })

  it("let nothing else through: a subtree, several kinds, whatever the server's version", async () => {
    await makeStream()
    const root = new EventMaker()
    const top = new EventMaker(root)
    const below = new EventMaker(top)
    const beside = new EventMaker(root)
    for (const node of [root, top, below, beside]) {
      await put(node.connected())
      await put(node.status(1))
      await put(node.event("crash", undefined))
    }
    const { ids } = reading({ subtree: top.path, kinds: ["connected", "crash"] })
    const expected = [top, below].flatMap(({ appId }) => [`${appId}:1`, `${appId}:3`])
    await waitUntil("all of them", () => ids().length === expected.length)
    await put(below.event("error", undefined))
    await put(below.event("crash", undefined))
    await waitUntil("one more", () => ids().length > expected.length)
    expect(ids()).toEqual([...expected, `${below.appId}:5`])
  })

  it("may change: the consumer stays where it is", async () => {
    await makeStream()
    const node = new EventMaker()
    await put(node.status(1))
    const first = reading({ kinds: ["status"] })
    await waitUntil("the first", () => first.seen.length === 1)
    await first.stop()
    await put(node.status(2))
    const second = reading({ kinds: ["status", "crash"] })
    await put(node.event("crash", undefined))
    await waitUntil("both", () => second.seen.length >= 2)
    expect(second.ids().slice(-2)).toEqual([`${node.appId}:2`, `${node.appId}:3`])
  })
})

describe("a subscription", () => {
  it("goes on where it was: what was dealt with does not come again, what was not does", async () => {
    await makeStream()
    const node = new EventMaker()
    for (let seq = 1; seq <= 10; seq++) await put(node.status(seq))
    const seen: Array<number> = []
    for await (const event of subscribe(connection, { name: "test", ackWaitMs: 500 })) {
      seen.push(event.data.n)
      // Left in the middle of the fifth: it is not acked.
      if (event.data.n === 5) break
    }
    const second = reading()
    // nats-server 2.9 delivers one of those twice that go back while nobody asks.
    const rest = () => [...new Set(second.seen.map(({ data }) => data.n))].toSorted((a, b) => a - b)
    await waitUntil("the rest", () => rest().length === 6)
    expect(seen).toEqual([1, 2, 3, 4, 5])
    expect(rest()).toEqual([5, 6, 7, 8, 9, 10])
  })

  it.for(["left", "closed"] as const)("gives back at once what was fetched ahead when its loop is %s", async (how) => {
    const manager = await makeStream()
    const node = new EventMaker()
    for (let seq = 1; seq <= 64; seq++) await put(node.status(seq))
    const first = subscribe(connection, { name: "test" })
    const seen: Array<number> = []
    for await (const event of first) {
      seen.push(event.data.n)
      const { num_ack_pending } = await manager.consumers.info(STREAM, "test")
      if (num_ack_pending < 64) continue
      if (how === "left") break
      first.close()
    }
    expect(seen).toEqual([1])
    const second = reading()
    // nats-server 2.9 loses sight of a few of them until ackWaitMs.
    await waitUntil("most of the rest, long before ackWaitMs", () => second.seen.length > 32)
    expect(second.seen.some(({ redelivered }) => redelivered)).toBe(true)
  })

  it("misses nothing when its consumer is lost that began with what is new", async () => {
    const manager = await makeStream()
    const node = new EventMaker()
    await put(node.status(1))
    const { ids, subscription, troubles } = reading({ from: "now" })
    await subscription.open()
    await put(node.status(2))
    await waitUntil("the first new one", () => ids().length === 1)
    await connection.flush()
    const { config } = await manager.consumers.info(STREAM, "test")
    await manager.consumers.delete(STREAM, "test")
    await put(node.status(3))
    await waitUntil("the next one", () => ids().length >= 2, { withinMs: 20_000 })
    expect(ids()).toEqual([`${node.appId}:2`, `${node.appId}:3`])
    expect(troubles).not.toEqual([])
    expect(config.deliver_policy).toBe("new")
  }, 30_000)

  it("tells of events that the stream has dropped before it read them", async () => {
    const manager = await makeStream()
    await manager.streams.update(STREAM, { max_msgs: 3 })
    const node = new EventMaker()
    for (let seq = 1; seq <= 3; seq++) await put(node.status(seq))
    for await (const event of subscribe(connection, { name: "test", ack: "manual", prefetch: 1 })) {
      event.ack()
      if (event.data.n === 2) break
    }
    await connection.flush()
    await manager.streams.update(STREAM, { max_msgs: 1 })
    await put(node.status(4))
    await put(node.status(5))
    const { ids, troubles } = reading()
    await waitUntil("what is left", () => ids().length === 1)
    expect(ids()).toEqual([`${node.appId}:5`])
    expect(troubles).toEqual([expect.objectContaining({ name: "EventsMissed", from: 3, to: 4 })])
  })

  it("manual: nothing is acked but by its user, and what is given back comes again", async () => {
    await makeStream()
    const node = new EventMaker()
    await put(node.status(1))
    const { seen } = reading({ ack: "manual" })
    await waitUntil("it is there", () => seen.length === 1)
    expect(seen[0]!.isSettled).toBe(false)
    seen[0]!.nak()
    await waitUntil("it is there again", () => seen.length === 2)
    expect(seen[1]).toMatchObject({ redelivered: true, id: seen[0]!.id })
    seen[1]!.ack()
  })

  it("tells the payload as it was sent, and its text where numbers are too large for a double", async () => {
    await makeStream()
    const node = new EventMaker()
    await put(node.status(1, '{"big":9007199254740993,"ok":true}'))
    const { seen } = reading()
    await waitUntil("it is there", () => seen.length === 1)
    expect(seen[0]!.payload).toMatchObject({ ok: true })
    expect(seen[0]!.payloadText).toBe('{"big":9007199254740993,"ok":true}')
  })

  it("is not stopped by what is no event, told of it, and not told again", async () => {
    const manager = await makeStream()
    const node = new EventMaker()
    const good = node.status(1)
    const place = treeEventSubject("default", "status", node.path, sha256)
    for (const text of ["", "{", "null", "[]", '"x"', '{"specversion":"1.0"}', "\u0000"])
      connection.publish(place, text)
    connection.publish(place, new Uint8Array([0xff, 0xfe]))
    // Genuine, on another node's subject.
    await put(good, treeEventSubject("default", "status", new EventMaker().path, sha256))
    await put(good, treeEventSubject("default", "crash", node.path, sha256))
    // On its subject, and about a node that is not there.
    const elsewhere = new EventMaker(new EventMaker()).path
    await put(node.event("crash", undefined, { path: elsewhere }))
    await put(node.event("crash", undefined, { path: elsewhere, root_id: elsewhere[0]! }))
    await put(node.event("crash", undefined, { parent_id: elsewhere[0]! }))
    await put(good)
    const { bad, ids, subscription } = reading({
      onBad: (one) => {
        bad.push(one)
        throw new Error("a callback that throws")
      }
    })
    await waitUntil("the good one", () => ids().length === 1)
    expect(ids()).toEqual([good.id])
    expect(subscription.bad).toBe(13)
    expect(new Set(bad.map(({ reason }) => reason))).toEqual(new Set(["not_json", "not_an_event", "wrong_subject"]))
    await waitUntil("all are dealt with", async () => {
      const { num_ack_pending, num_pending } = await manager.consumers.info(STREAM, "test")
      return num_pending === 0 && num_ack_pending === 0
    })
  })

  it("outlives nats-server's death, and the loss of consumer and stream", async () => {
    const manager = await makeStream()
    const node = new EventMaker()
    await put(node.status(1))
    const { ids, troubles } = reading()
    const sees = (n: number) =>
      waitUntil(`event ${n}`, () => ids().at(-1) === `${node.appId}:${n}`, { withinMs: 20_000 })
    await sees(1)
    await server.kill()
    await server.start()
    await waitUntil("connected again", async () => (await manager.streams.info(STREAM)).config.name)
    await put(node.status(2))
    await sees(2)
    await manager.consumers.delete(STREAM, "test")
    await put(node.status(3))
    await sees(3)
    await manager.streams.delete(STREAM)
    await waitUntil("it is noticed", () => troubles.length > 0, { withinMs: 20_000 })
    await makeStream()
    await put(node.status(4))
    await sees(4)
  }, 60_000)

  it("verifies what comes, and finds the key of a node that registered before it began", async () => {
    await makeStream()
    const node = new EventMaker()
    await put(node.connected())
    await put(node.status(1))
    const trust = { serverKey: node.server.text }
    const blind = reading({ name: "blind", kinds: ["status"], verifier: new Verifier(trust) })
    await waitUntil("it is there", () => blind.seen.length === 1)
    expect(blind.seen[0]!.verdict).toEqual({ verified: false, reason: "key_unknown" })
    const registered = registeredFromStream(connection)
    const seeing = reading({ name: "seeing", kinds: ["status"], verifier: new Verifier({ ...trust, registered }) })
    await waitUntil("it is there", () => seeing.seen.length === 1)
    expect(seeing.seen[0]!.verdict).toMatchObject({ verified: true, by: "node" })
  })

  it("finds the key of each incarnation that the stream still tells of", async () => {
    await makeStream()
    const [node, other] = [new EventMaker(), new EventMaker()]
    const later = makeKeypair()
    await put(node.connected())
    await put(other.connected())
    await put(node.status(1))
    await put(node.event("rebound", node.registeredFrame(node.server, 2, later.text), { incarnation: 2 }))
    await put(node.event("status", node.statusFrame(1, "{}", later, 2), { incarnation: 2, seq: 1 }))
    await put(node.event("connected", node.registeredFrame(node.server, 3), { incarnation: 3 }))
    await put(node.event("status", node.statusFrame(1, "{}", node.keys, 3), { incarnation: 3, seq: 1 }))
    await put(node.event("status", node.statusFrame(1, "{}", node.keys, 4), { incarnation: 4, seq: 1 }))
    const verifier = new Verifier({ serverKey: node.server.text, registered: registeredFromStream(connection) })
    const { seen } = reading({ kinds: ["status"], verifier })
    await waitUntil("all of them", () => seen.length === 4)
    expect(seen.map(({ verdict }) => (verdict.verified ? verdict.key : verdict.reason))).toEqual([
      node.keys.text,
      later.text,
      node.keys.text,
      "key_unknown"
    ])
  })

  it("needs no right to ask for the stream", async () => {
    const user = (name: string, deny: string) =>
      `{ user: "${name}", password: "x", permissions: { publish: { deny: [${deny}] } } }`
    const config = `authorization { users: [${user("all", '"none"')}, ${user("few", '"$JS.API.STREAM.INFO.>"')}] }`
    const guarded = await NatsServer.start({ jetstream: true, config })
    cleanUp.push(() => guarded.dispose())
    const [all, few] = await Promise.all(
      ["all", "few"].map((name) => connect({ servers: guarded.url, user: name, pass: "x" }))
    )
    cleanUp.push(() => Promise.all([all!.close(), few!.close()]))
    await (await jetstreamManager(all!)).streams.add({ name: STREAM, subjects: ["trails.>"] })
    const event = new EventMaker().connected()
    all!.publish(treeEventSubject("default", "connected", event.data.path, sha256), JSON.stringify(event))
    const troubles: Array<Error> = []
    const seen: Array<string> = []
    for await (const { id } of subscribe(few!, { name: "test", onTrouble: (error) => troubles.push(error) })) {
      seen.push(id)
      break
    }
    expect(seen).toEqual([event.id])
    expect(troubles).toEqual([])
  }, 20_000)

  it("ends with its connection", async () => {
    await makeStream()
    const ending = (async () => {
      for await (const event of subscribe(connection, { name: "test" })) event.ack()
      return "ended"
    })()
    await connection.flush()
    await connection.close()
    expect(await ending).toBe("ended")
  })
})
