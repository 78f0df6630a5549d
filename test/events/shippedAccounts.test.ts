import { fileURLToPath } from "node:url"
import { AckPolicy, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { afterAll, beforeAll, expect, it } from "vitest"
import { subscribe } from "../../src/events/index.ts"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { openStorage, type OpenStorage, postgres } from "../storage/openStorage.ts"
import { birthOf, requestOf } from "../storage/rows.ts"
import { startPublisher } from "../transports/PublishingReplica.ts"

const configFile = fileURLToPath(new URL("../../deploy/nats.conf", import.meta.url))
const trailsd = { user: "trailsd", password: "secret-t" }
const subscriber = { user: "default", password: "secret-d" }

let database: FreshDatabase
let storage: OpenStorage
let server: NatsServer
beforeAll(async () => {
  database = await freshDatabase()
  storage = openStorage(postgres(database.url))
  const env = { NATS_TRAILSD_PASSWORD: trailsd.password, NATS_DEFAULT_PASSWORD: subscriber.password }
  server = await NatsServer.start({ configFile, env })
})
afterAll(async () => {
  await server?.dispose()
  await storage?.dispose()
  await database?.drop()
})

const dial = ({ password, user }: typeof trailsd, inboxPrefix: string) =>
  connect({ servers: server.url, user, pass: password, inboxPrefix, reconnect: false })

it("trailsd's login publishes, and a subscriber's reads its consumer", async () => {
  const replica = await startPublisher(storage, server, { login: trailsd })
  const node = await replica.run(replica.store.birth(requestOf(birthOf({ namespace: "default" }))))
  await replica.run(replica.store.birth(requestOf(birthOf({ namespace: "etl" }))))
  await replica.published(2)
  const operator = await dial(trailsd, "_trails.inbox")
  await (
    await jetstreamManager(operator)
  ).consumers.add("trails", {
    durable_name: "default",
    ack_policy: AckPolicy.Explicit,
    filter_subject: "trails.default.>"
  })
  const connection = await dial(subscriber, "_INBOX_default")
  const events = subscribe(connection, { name: "default", existing: true, apiPrefix: "JS.API" })
  for await (const event of events) {
    expect(event).toMatchObject({ kind: "connected", appId: node._tag === "Born" ? node.row.appId : null })
    event.ack()
    break
  }
  await Promise.all([connection.close(), operator.close()])
  await replica.stop()
})
