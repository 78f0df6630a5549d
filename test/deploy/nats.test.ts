import { readFileSync } from "node:fs"
import { setImmediate as turn } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { NatsServer } from "../harness/NatsServer.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { settled } from "../transports/busListener.ts"
import { natsSettings, startReplica } from "../transports/NatsReplica.ts"

const configFile = fileURLToPath(new URL("../../deploy/nats.conf", import.meta.url))
const shipped = readFileSync(configFile, "utf8")

/** The shipped file with a second namespace, made as its comment says. */
const withNamespace = (name: string): string => {
  const renamed = (text: string) => text.replaceAll("default", name).replaceAll("DEFAULT", name.toUpperCase())
  const exports = shipped.split("\n").filter((line) => line.includes("accounts: [NS_DEFAULT]"))
  const block = shipped.slice(shipped.indexOf("  NS_DEFAULT {"), shipped.lastIndexOf("}"))
  expect(exports).toHaveLength(4)
  return shipped
    .replace(exports.join("\n"), [...exports, ...exports.map(renamed)].join("\n"))
    .replace(block, `${block}\n${renamed(block)}`)
}

const env = { NATS_TRAILSD_PASSWORD: "tt-secret", NATS_DEFAULT_PASSWORD: '"12345678"', NATS_ETL_PASSWORD: "ee-secret" }
const passwords = { trailsd: "tt-secret", default: "12345678", etl: "ee-secret" }
type User = keyof typeof passwords

describe("the shipped configuration", () => {
  it("starts as it is, and not while a password is missing", async () => {
    const server = await NatsServer.start({ configFile, env })
    await server.dispose()
    for (const name of ["NATS_TRAILSD_PASSWORD", "NATS_DEFAULT_PASSWORD"] as const) {
      const { [name]: _, ...rest } = env
      await expect(NatsServer.start({ configFile, env: rest })).rejects.toThrow(`'${name}'`)
    }
  })
})

describe("each credential of the shipped configuration", () => {
  let server: NatsServer
  const connections: Array<NatsConnection> = []
  const complaints = new Map<NatsConnection, Array<string>>()

  const login = async (user: User): Promise<NatsConnection> => {
    const connection = await connect({
      servers: `127.0.0.1:${server.port}`,
      user,
      pass: passwords[user],
      inboxPrefix: user === "trailsd" ? "_trails.inbox" : `_INBOX_${user}`,
      reconnect: false
    })
    connections.push(connection)
    const said: Array<string> = []
    complaints.set(connection, said)
    void (async () => {
      for await (const status of connection.status()) if (status.type === "error") said.push(status.error.message)
    })()
    return connection
  }

  /** Whether the server lets the connection do it: a refusal comes before the answer to a flush. */
  const may = async (connection: NatsConnection, act: () => unknown): Promise<boolean> => {
    const before = complaints.get(connection)!.length
    act()
    await connection.flush()
    await turn()
    return complaints.get(connection)!.length === before
  }
  const mayHear = (connection: NatsConnection, subject: string) =>
    may(connection, () => connection.subscribe(subject, { callback: () => {} }))
  const maySay = (connection: NatsConnection, subject: string) =>
    may(connection, () => connection.publish(subject, "x"))

  const hear = (connection: NatsConnection, subject: string): Array<string> => {
    const heard: Array<string> = []
    connection.subscribe(subject, { callback: (_, message) => void heard.push(message.subject) })
    return heard
  }

  beforeAll(async () => {
    server = await NatsServer.start({ config: withNamespace("etl"), env })
  })
  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.close()))
    await server.dispose()
  })

  it("nobody comes in without one, or with another's password", async () => {
    const servers = `127.0.0.1:${server.port}`
    await expect(connect({ servers, reconnect: false })).rejects.toThrow("Authorization")
    await expect(connect({ servers, user: "default", pass: "ee-secret", reconnect: false })).rejects.toThrow(
      "Authorization"
    )
  })

  const table: ReadonlyArray<readonly [User, "hears" | "says", ReadonlyArray<string>, ReadonlyArray<string>]> = [
    [
      "trailsd",
      "hears",
      ["_trails.>", "_trails.inbox.abc.*", "trails.>", "trails.default.crash.>"],
      [">", "*", "_INBOX.>", "_INBOX_default.>", "$SYS.>", "$JS.>", "other"]
    ],
    [
      "trailsd",
      "says",
      ["_trails.replica.b.node.a", "trails.etl.status.x._", "$JS.API.INFO", "$JS.API.STREAM.CREATE.probe"],
      ["other", "_INBOX.x", "_INBOX_default.x", "$SYS.REQ.SERVER.PING"]
    ],
    [
      "default",
      "hears",
      ["trails.default.>", "trails.default.crash.>", "trails.default.*.a.b._", "_INBOX_default.x.*"],
      [
        ...[">", "*.>", "*", "trails.>", "trails.*.crash.>", "*.default.>", "trails.etl.>", "trails.etl.crash.a._"],
        ...["_trails.>", "_trails.replica.*.node.*", "_trails.inbox.>", "_INBOX.>", "_INBOX_etl.>", "_INBOX_default"],
        ...["$JS.>", "$JS.ACK.trails.default.>", "$SYS.>", "_R_.>", "trails", "trails.default"]
      ]
    ],
    [
      "default",
      "says",
      ["JS.API.CONSUMER.INFO.trails.default", "$JS.ACK.trails.default.1.2.3.4.5"],
      [
        ...["trails.default.status.a._", "trails.etl.status.a._", "_trails.replica.b.node.a", "_trails.inbox.x"],
        ...["_INBOX_default.x", "_INBOX_etl.x", "_INBOX.x", "other", "$SYS.REQ.SERVER.PING", "$SYS.REQ.USER.INFO"],
        ...["$JS.API.INFO", "$JS.API.STREAM.INFO.trails", "$JS.API.STREAM.LIST", "$JS.API.STREAM.DELETE.trails"],
        ...["$JS.API.STREAM.MSG.GET.trails", "$JS.API.DIRECT.GET.trails", "$JS.API.DIRECT.GET.trails.trails.etl.x"],
        ...["$JS.API.CONSUMER.CREATE.trails", "$JS.API.CONSUMER.CREATE.trails.default.trails.default.>"],
        ...["$JS.API.CONSUMER.DURABLE.CREATE.trails.default", "$JS.API.CONSUMER.DELETE.trails.default"],
        ...["$JS.API.CONSUMER.INFO.trails.default", "$JS.API.CONSUMER.MSG.NEXT.trails.default"],
        ...["$JS.API.CONSUMER.INFO.trails.etl", "$JS.API.CONSUMER.MSG.NEXT.trails.etl", "$JS.ACK.trails.etl.1.2"],
        ...["JS.API.CONSUMER.INFO.trails.etl", "JS.API.CONSUMER.MSG.NEXT.trails.etl", "JS.API.INFO"]
      ]
    ]
  ]

  it.each(table)("%s %s what it is for, and nothing else", async (user, verb, allowed, refused) => {
    const connection = await login(user)
    const probe = verb === "hears" ? mayHear : maySay
    const seen: Record<string, boolean> = {}
    for (const subject of [...allowed, ...refused]) seen[subject] = await probe(connection, subject)
    expect(seen).toEqual(
      Object.fromEntries([...allowed.map((subject) => [subject, true]), ...refused.map((subject) => [subject, false])])
    )
  })

  it("a queue group is no way around", async () => {
    const connection = await login("default")
    for (const subject of ["trails.>", "_trails.>", "trails.etl.>"]) {
      const group = () => connection.subscribe(subject, { queue: "g", callback: () => {} })
      expect(await may(connection, group)).toBe(false)
    }
  })

  it("live events reach the subscribers of their namespace, and what replicas say reaches none", async () => {
    const [trailsd, one, other] = [await login("trailsd"), await login("default"), await login("etl")]
    const [heardByOne, heardByOther] = [hear(one, "trails.default.>"), hear(other, "trails.etl.>")]
    await Promise.all([one.flush(), other.flush()])
    for (const subject of ["_trails.replica.b.node.a", "trails.default.status.a._", "trails.etl.crash.b._"]) {
      trailsd.publish(subject, "x")
    }
    await waitUntil("both have heard", () => heardByOne.length > 0 && heardByOther.length > 0)
    await Promise.all([trailsd.flush(), one.flush(), other.flush()])
    expect([heardByOne, heardByOther]).toEqual([["trails.default.status.a._"], ["trails.etl.crash.b._"]])
  })

  it("the durable consumer gives a subscriber the past of its namespace, once acked never again", async () => {
    const trailsd = await login("trailsd")
    const manager = await jetstreamManager(trailsd)
    await manager.streams.add({ name: "trails", subjects: ["trails.>"] })
    for (const name of ["default", "etl"]) {
      await manager.consumers.add("trails", {
        durable_name: name,
        filter_subject: `trails.${name}.>`,
        ack_policy: AckPolicy.Explicit
      })
    }
    const publisher = jetstream(trailsd)
    for (const subject of ["trails.etl.status.a._", "trails.default.status.b._", "trails.default.result.b._"]) {
      await publisher.publish(subject, "x")
    }
    const subscriber = await login("default")
    const consumer = await jetstream(subscriber, { apiPrefix: "JS.API" }).consumers.get("trails", "default")
    for (const subject of ["trails.default.status.b._", "trails.default.result.b._"]) {
      const message = await consumer.next({ expires: 5000 })
      expect(message?.subject).toBe(subject)
      message?.ack()
    }
    await waitUntil("both are acked", async () => {
      const { num_ack_pending, num_pending } = await manager.consumers.info("trails", "default")
      return num_ack_pending === 0 && num_pending === 0
    })
    expect((await manager.consumers.info("trails", "etl")).num_pending).toBe(1)
    expect(complaints.get(subscriber)).toEqual([])
  })

  it("a subscriber can't have its events delivered to a replica, or into another's inbox", async () => {
    const [trailsd, attacker, victim] = [await login("trailsd"), await login("default"), await login("etl")]
    const heard = [
      ...["_trails.replica.>", "_trails.inbox.x", "trails.etl.>"].map((subject) => hear(trailsd, subject)),
      hear(victim, "_INBOX_etl.>")
    ]
    const own = hear(attacker, "_INBOX_default.>")
    await Promise.all([trailsd.flush(), attacker.flush(), victim.flush()])
    const next = "JS.API.CONSUMER.MSG.NEXT.trails.default"
    const targets = ["_trails.replica.b.node.a", "_trails.inbox.x", "trails.etl.status.x._", "_INBOX_etl.x"]
    const publisher = jetstream(trailsd)
    for (const reply of [...targets, "_INBOX_default.x"]) {
      await publisher.publish("trails.default.status.b._", "x")
      attacker.publish(next, JSON.stringify({ batch: 1, no_wait: true }), { reply })
      await attacker.flush()
    }
    await waitUntil("what it asked for itself has come", () => own.length > 0)
    await Promise.all([trailsd.flush(), victim.flush()])
    expect(heard).toEqual([[], [], [], []])
  })

  it("carries the bus of replicas without a complaint", async () => {
    const nats = natsSettings([server], { user: "trailsd", password: passwords.trailsd })
    const [one, other] = [await startReplica(nats), await startReplica(nats)]
    await Promise.all([one.connected(), other.connected()])
    // Below _trails, as everything is that replicas say to each other.
    await settled(one.bus, other.bus, "_trails.barrier")
    await settled(other.bus, one.bus, "_trails.barrier")
    expect([...one.lines, ...other.lines].filter((line) => !line.startsWith("Info"))).toEqual([])
    await Promise.all([one.dispose(), other.dispose()])
  })
})
