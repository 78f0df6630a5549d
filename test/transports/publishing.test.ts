import { Effect } from "effect"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { sha256 } from "../../src/actors/Ed25519.ts"
import { treeEventSubject } from "../../src/protocol/Subjects.ts"
import type { Anchor } from "../../src/supervision/EventOutlet.ts"
import { eventOf } from "../../src/transports/TreeEvents.ts"
import { TreeLog, type TreeLogRow } from "../../src/storage/TreeLog.ts"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { STREAM, StreamReader } from "../harness/StreamReader.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { openStorage, type OpenStorage, postgres, sql } from "../storage/openStorage.ts"
import { birthOf, bornRow, requestOf, statusEntry, statusWrite } from "../storage/rows.ts"
import { type PublishingReplica, startPublisher } from "./PublishingReplica.ts"

/** Longer than a duty or a reconnect may take on a busy machine. */
const PATIENCE = { withinMs: 30_000 }

let database: FreshDatabase
let storage: OpenStorage
const cleanUp: Array<() => Promise<unknown>> = []

beforeAll(async () => {
  database = await freshDatabase()
  storage = openStorage(postgres(database.url))
})
afterAll(async () => {
  await storage?.dispose()
  await database?.drop()
})
beforeEach(async () => {
  await sql(storage, "truncate node_log, leases")
})
afterEach(async () => {
  for (const step of cleanUp.splice(0).toReversed()) await step()
})

const serve = async (config = "") => {
  const server = await NatsServer.start({ jetstream: true, config })
  cleanUp.push(() => server.dispose())
  return { server, reader: new StreamReader(server) }
}
const publisher = async (...args: Parameters<typeof startPublisher> extends [unknown, ...infer R] ? R : never) => {
  const replica = await startPublisher(storage, ...args)
  cleanUp.push(() => replica.stop())
  return replica
}

/** Two nodes and a way to have them report, by turns. */
const nodesOf = async ({ store }: PublishingReplica) => {
  const nodes = await Effect.runPromise(
    Effect.forEach([0, 1], () => Effect.map(store.birth(requestOf(birthOf())), bornRow))
  )
  const at = nodes.map(({ n }) => n)
  return async (count: number, payload = "{}") => {
    for (let i = 0; i < count; i++) {
      const node = nodes[i % 2]!
      const n = at[i % 2]!++
      await Effect.runPromise(
        store.append(0, [statusWrite({ ...node, n }, n, { rows: [statusEntry(node.appId, n, payload)] })])
      )
    }
  }
}
const rows = (): Promise<ReadonlyArray<TreeLogRow>> =>
  storage.runPromise(
    Effect.gen(function* () {
      const log = yield* TreeLog
      const found: Array<TreeLogRow> = []
      for (;;) {
        const page = yield* log.all(found.at(-1)?.id ?? 0, 1000)
        found.push(...page.rows)
        if (!page.more) return found
      }
    })
  )
const idsOf = (all: ReadonlyArray<TreeLogRow>) => all.map(({ appId, n }) => `${appId}:${n}`)

/** Waits until the whole log stands in the stream, each event once and in its order. */
const holdsTheLog = async (reader: StreamReader, left: ReadonlyArray<string> = []) => {
  const expected = idsOf(await rows()).filter((id) => !left.includes(id))
  await waitUntil("the log's last event", async () => (await reader.ids()).includes(expected.at(-1)!), PATIENCE)
  expect(await reader.ids()).toEqual(expected)
}

describe("an event in the stream", () => {
  it("is the row's CloudEvent under its own id, on the subject of its place", async () => {
    const { reader, server } = await serve()
    const report = await nodesOf(await publisher(server))
    await report(4)
    await holdsTheLog(reader)
    const all = await rows()
    const events = await reader.events()
    for (const [index, row] of all.entries()) {
      const { contentType, event, messageId, subject } = events[index]!
      expect(event).toEqual(eventOf(row))
      expect(messageId).toBe(event.id)
      expect(subject).toBe(treeEventSubject(row.namespace, row.kind as "status", row.path, sha256))
      expect(contentType).toBe("application/cloudevents+json; charset=utf-8")
    }
  })

  it("leaves its frame behind above half of max_payload, and says where it is; order stays", async () => {
    const { reader, server } = await serve("max_payload: 8192")
    const replica = await publisher(server)
    const report = await nodesOf(replica)
    await report(2)
    await report(1, JSON.stringify("x".repeat(3000)))
    await report(1, JSON.stringify("x".repeat(5000)))
    await report(1, JSON.stringify("x".repeat(100_000)))
    await report(2)
    await holdsTheLog(reader)
    const events = (await reader.events()).slice(-5)
    expect(events.map(({ event }) => event.data.frame !== undefined)).toEqual([true, false, false, true, true])
    const { dataref } = events[1]!.event
    expect(dataref).toMatch(/^https:\/\/trails\.example\/api\/v1\/apps\/[0-9a-f-]{36}\/log\?after=\d+&limit=1$/)
    expect(Math.max(...events.map(({ bytes }) => bytes))).toBeLessThanOrEqual(4096)
  })

  it("that the stream has no room for is sent without its frame, in its place; else it is passed over", async () => {
    const { reader, server } = await serve()
    await reader.use((manager) =>
      manager.streams.add({ name: STREAM, subjects: ["trails.>"], max_msg_size: 2000 } as never)
    )
    const replica = await publisher(server)
    await replica.connected()
    const report = await nodesOf(replica)
    await report(20)
    await report(2, JSON.stringify("x".repeat(3000)))
    await report(20)
    await holdsTheLog(reader)
    expect(await replica.metric('event_troubles_total{kind="too_large"}')).toBe(2)
    expect(await replica.metric('event_troubles_total{kind="unfit"}')).toBe(0)

    await reader.use((manager) => manager.streams.update(STREAM, { max_msg_size: 300 }))
    const before = (await rows()).length
    await report(5)
    const unfit = idsOf(await rows()).slice(before)
    await waitUntil(
      "all are passed over",
      async () => (await replica.metric('event_troubles_total{kind="unfit"}')) === 5
    )
    await reader.use((manager) => manager.streams.update(STREAM, { max_msg_size: -1 }))
    await report(5)
    await holdsTheLog(reader, unfit)
    expect(replica.lines.filter((line) => line.includes("is passed over"))).toHaveLength(1)
  })
})

describe("faults", () => {
  it("nats-server is killed, stopped and frozen while nodes report: each event is there once, in order", async () => {
    const { reader, server } = await serve()
    const replica = await publisher(server)
    const report = await nodesOf(replica)
    await report(50)
    for (const how of ["kill", "stop"] as const) {
      await Promise.all([report(200), server[how]()])
      await report(20)
      await server.start()
      await holdsTheLog(reader)
    }
    server.freeze()
    await report(100)
    await waitUntil("the link gives up", async () => (await replica.metric("nats_connected")) === 0, PATIENCE)
    server.thaw()
    await holdsTheLog(reader)
    expect(await replica.metric('event_troubles_total{kind="unfit"}')).toBe(0)
  })

  it("the stream is deleted, purged, and made anew by somebody else: it goes on, a new one with all of the log", async () => {
    const { reader, server } = await serve()
    const report = await nodesOf(await publisher(server))
    await report(400)
    await holdsTheLog(reader)
    await Promise.all([report(50), reader.use((manager) => manager.streams.delete(STREAM))])
    await report(10)
    await holdsTheLog(reader)
    await reader.use(async (manager) => {
      await manager.streams.delete(STREAM)
      await manager.streams.add({ name: STREAM, subjects: ["trails.>"] })
    })
    await report(10)
    await holdsTheLog(reader)
    await reader.use((manager) => manager.streams.purge(STREAM))
    const kept = idsOf(await rows())
    await report(10)
    await holdsTheLog(reader, kept)
  })

  it("without JetStream it says so once and waits", async () => {
    const server = await NatsServer.start()
    cleanUp.push(() => server.dispose())
    const replica = await publisher(server)
    await replica.connected()
    const report = await nodesOf(replica)
    await report(5)
    await waitUntil(
      "it has tried more than once",
      async () => (await replica.metric('event_troubles_total{kind="no_jetstream"}')) > 1
    )
    expect(replica.lines.filter((line) => line.includes("no JetStream"))).toHaveLength(1)
    expect(await replica.metric("events_stream_open")).toBe(0)
  })

  it("somebody else publishes below trails. all the time: order and number stay, and it is counted", async () => {
    const { reader, server } = await serve()
    const replica = await publisher(server)
    const report = await nodesOf(replica)
    await report(10)
    await holdsTheLog(reader)
    const mine = async () =>
      await reader.use(async (manager) => {
        const { state } = await manager.streams.info(STREAM)
        const found: Array<string> = []
        for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
          const message = await manager.streams.getMessage(STREAM, { seq })
          if (message?.header.has("Nats-Msg-Id")) found.push(message.header.get("Nats-Msg-Id"))
        }
        return found
      })
    await reader.use(async (_manager, connection) => {
      for (let i = 0; i < 20; i++) {
        await report(10)
        connection.publish("trails.intruder.x", "{}")
      }
      await connection.flush()
    })
    const expected = idsOf(await rows())
    await waitUntil("all of it", async () => (await mine()).length >= expected.length, PATIENCE)
    expect(await mine()).toEqual(expected)
    expect(await replica.metric('event_troubles_total{kind="misplaced"}')).toBeGreaterThan(0)
  })
})

describe("two publishers", () => {
  it("the second goes on where the first was stopped, or died without a word", async () => {
    const { reader, server } = await serve()
    const first = await publisher(server)
    const report = await nodesOf(first)
    await report(100)
    await holdsTheLog(reader)
    const second = await publisher(server)
    await report(50)
    await first.stop()
    await report(50)
    await holdsTheLog(reader)
    expect(await second.metric("events_published_total")).toBeGreaterThan(0)
    // The cursor of one that died is behind what it has published.
    await sql(
      storage,
      "update leases set cursor = 0, holder = gen_random_uuid(), expires_at = now() where duty = 'publisher'"
    )
    await second.stop()
    await publisher(server)
    await report(50)
    await holdsTheLog(reader)
  })

  it("that both believe to be the one, for ever: each event is there once, in order", async () => {
    const { reader, server } = await serve()
    const believes = (store: Parameters<NonNullable<Parameters<typeof publisher>[1]>["replicas"] & {}>[0]) => ({
      ...store,
      holdDuty: () => Effect.succeed({ held: true, cursor: 0 }),
      advanceDuty: () => Effect.succeed(true)
    })
    const first = await publisher(server, { replicas: believes })
    await publisher(server, { replicas: believes })
    const report = await nodesOf(first)
    for (let i = 0; i < 10; i++) await report(60)
    await holdsTheLog(reader)
  })
})

describe("an anchor", () => {
  const messages = (...ids: ReadonlyArray<string>) =>
    ids.map((id, index) => ({ id, cursor: index, subject: "trails.x.status.a._", body: Buffer.from("{}"), bare: true }))

  it("that does not hold stores nothing, neither the first nor any behind it, whatever is remembered of ids", async () => {
    const { reader, server } = await serve()
    const { connected, outlet, run } = await publisher(server, { idle: true })
    await connected()
    const stream = await run(outlet.open)
    const tags = async (from: Anchor, ...ids: ReadonlyArray<string>) =>
      (await run(stream.publish(messages(...ids), from))).map(({ _tag }) => _tag)
    expect(await tags({ _tag: "Sequence", last: 0 }, "a", "b", "c")).toEqual(["stored", "stored", "stored"])
    // Of one that was paused before it sent them.
    expect(await tags({ _tag: "Sequence", last: 0 }, "x", "y")).toEqual(["misplaced", "misplaced"])
    expect(await tags({ _tag: "Sequence", last: 2 }, "x", "y")).toEqual(["misplaced", "misplaced"])
    expect(await tags({ _tag: "Event", id: "b" }, "x", "y")).toEqual(["misplaced", "misplaced"])
    // What is there already is there, and what follows it finds its place.
    expect(await tags({ _tag: "Sequence", last: 0 }, "b", "c", "d")).toEqual(["stored", "stored", "stored"])
    expect(await tags({ _tag: "Event", id: "d" }, "e")).toEqual(["stored"])
    expect(await reader.count()).toBe(5)
  })
})

describe("the stream", () => {
  it("is made and kept by the settings, and keeps what is not theirs", async () => {
    const { reader, server } = await serve()
    const config = () => reader.use(async (manager) => (await manager.streams.info(STREAM)).config)
    const first = await publisher(server)
    await waitUntil("it is made", async () => (await config()).subjects.length, PATIENCE)
    expect(await config()).toMatchObject({
      subjects: ["trails.>"],
      storage: "file",
      discard: "old",
      retention: "limits",
      max_age: 604_800e9,
      max_bytes: 1024 ** 3,
      duplicate_window: 120e9,
      num_replicas: 1
    })
    await first.stop()
    await reader.use((manager) => manager.streams.update(STREAM, { max_msgs: 5000 }))
    await publisher(server, { events: { maxAge: 3_600_000, dedupe: 30_000 } })
    await waitUntil("it is told", async () => (await config()).max_age === 3600e9, PATIENCE)
    expect(await config()).toMatchObject({ duplicate_window: 30e9, max_msgs: 5000 })
  })

  it("has three copies in a cluster, and a publisher at any of its servers", async () => {
    const servers = await NatsServer.mesh(3, { jetstream: true })
    for (const server of servers) cleanUp.push(() => server.dispose())
    const replica = await publisher(servers[0]!)
    const report = await nodesOf(replica)
    await report(100)
    const reader = new StreamReader(servers[1]!)
    await waitUntil("the stream is there", () => reader.count(), { withinMs: 60_000 })
    await holdsTheLog(reader)
    expect(await reader.use(async (manager) => (await manager.streams.info(STREAM)).config.num_replicas)).toBe(3)
  }, 120_000)

  it("that somebody else has in his own: it is said, with the remedy", async () => {
    const { reader, server } = await serve()
    await reader.use((manager) => manager.streams.add({ name: "OTHER", subjects: ["trails.>"] }))
    const replica = await publisher(server)
    await waitUntil("it is said", () => replica.lines.some((line) => line.includes("no other stream")), PATIENCE)
  })
})
