import { join } from "node:path"
import { metric, readMetrics } from "../../harness/Metrics.ts"
import { NatsServer } from "../../harness/NatsServer.ts"
import { Postgres } from "../../harness/Postgres.ts"
import { queryPostgres } from "../../harness/StoredState.ts"
import { attach, childOf, rootOf } from "../../harness/TestNode.ts"
import { Trailsd } from "../../harness/Trailsd.ts"
import { waitUntil } from "../../harness/waitUntil.ts"
import { type Seen, Subscriber } from "./Subscriber.ts"

export interface KillsReport {
  readonly kills: number
  /** Committed events of the subtree. */
  readonly events: number
  /** Deliveries of them, repetitions included. */
  readonly deliveries: number
  readonly missing: ReadonlyArray<string>
  /**
   * Events that stand in the stream behind a later one of the same node, or came behind one when they were delivered first: what
   * a killed subscriber had fetched is delivered again, behind later ones (docs/events.md).
   */
  readonly outOfOrder: ReadonlyArray<string>
  /** Child frames and registrations that did not verify, with the reason. */
  readonly unverified: ReadonlyArray<string>
  readonly unknown: ReadonlyArray<string>
  /** Each event's place in the stream is once its own. */
  readonly storedTwice: number
}

interface Options {
  readonly kills: number
  /** Between two of them the subtree reports so many times. */
  readonly reports: number
  readonly log?: (line: string) => void
}

const CHILDREN = 4
const PATIENCE = { withinMs: 60_000, everyMs: 50 }

const behindLaterOnes = (events: ReadonlyArray<Seen>): ReadonlyArray<string> => {
  const newest = new Map<string, number>()
  return events.flatMap(({ appId, id, n }) => {
    const before = newest.get(appId) ?? 0
    newest.set(appId, Math.max(before, n))
    return n < before ? [id] : []
  })
}

const holds = async (server: Trailsd): Promise<boolean> =>
  server.isRunning && metric(await readMetrics(server.http), 'trails_duty_held{duty="publisher"}') === 1

/**
 * One replica holds the nodes and knows no NATS; two others take turns as publisher, each killed (-9) as soon as it
 * publishes. nats-server and the subscriber are killed now and then, too.
 */
export const publisherKills = async ({ kills, log = () => {}, reports }: Options): Promise<KillsReport> => {
  await using stack = new AsyncDisposableStack()
  const postgres = await Postgres.create()
  stack.defer(() => postgres.dispose())
  const nats = await NatsServer.start({ jetstream: true })
  stack.defer(() => nats.dispose())
  const databaseUrl = postgres.url
  const env = { TRAILS_MIN_LEVEL: "signed" }
  const home = await Trailsd.start({ databaseUrl, env })
  stack.defer(() => home.dispose())
  const shared = {
    ...env,
    NATS_URL: nats.url,
    NATS_ANY_VERSION: "true",
    TRAILS_SERVER_KEY_FILE: join(home.folder, "server.pem")
  }
  const publishers: Array<Trailsd> = []
  for (let i = 0; i < 2; i++) {
    const publisher = await Trailsd.start({ databaseUrl, env: shared })
    stack.defer(() => publisher.dispose())
    publishers.push(publisher)
  }

  const root = rootOf(home, { level: "signed" })
  await attach(home, root)
  const top = childOf(home, root)
  await attach(home, top)
  const children = [top]
  while (children.length <= CHILDREN) {
    const child = childOf(home, top)
    await attach(home, child)
    children.push(child)
  }
  const subscriber = new Subscriber({
    nats: nats.url,
    name: "kills",
    subtree: [root.appId, top.appId],
    serverKey: home.serverKey.text
  })
  stack.defer(() => subscriber.kill())
  subscriber.start()

  const report = async () => {
    for (let i = 0; i < reports; i++) for (const child of children) child.status({ i })
    await waitUntil("all acks", () => children.every(({ inFlight }) => inFlight === 0), PATIENCE)
  }
  await report()
  for (let kill = 1; kill <= kills; kill++) {
    const holder = await waitUntil(
      "somebody publishes",
      async () => {
        for (const publisher of publishers) if (await holds(publisher)) return publisher
        return null
      },
      PATIENCE
    )
    const reporting = report()
    await holder.kill()
    if (kill % 3 === 1) await nats.kill()
    if (kill % 3 === 2) await subscriber.kill()
    await reporting
    await holder.start()
    if (!nats.isRunning) await nats.start()
    if (kill % 3 === 2) subscriber.start()
    log(`kill ${kill} of ${kills}: ${subscriber.seen.length} deliveries`)
  }
  for (const child of children) child.result("done")
  await waitUntil("the end is stored", () => children.every(({ inFlight }) => inFlight === 0), PATIENCE)

  const ids = children.map(({ appId }) => `'${appId}'`).join()
  const rows = await queryPostgres(
    databaseUrl,
    `select app_id || ':' || n as id from node_log where app_id in (${ids}) and kind <> 'refused' order by id`
  )
  const committed = rows.map(({ id }) => String(id))
  const seen = () => new Set(subscriber.seen.map(({ id }) => id))
  await waitUntil(
    "all of it arrives",
    () => {
      const have = seen()
      return committed.every((id) => have.has(id))
    },
    { withinMs: 120_000, everyMs: 100 }
  ).catch(() => log(`something is missing; the subscriber said:\n${subscriber.said.slice(-2000)}`))

  const first = new Map<string, Seen>()
  for (const delivery of subscriber.seen) if (!first.has(delivery.id)) first.set(delivery.id, delivery)
  const outOfOrder = [
    ...behindLaterOnes([...first.values()].toSorted((a, b) => a.sequence - b.sequence)),
    ...behindLaterOnes([...first.values()].filter(({ redelivered }) => !redelivered))
  ]
  const total = await queryPostgres(databaseUrl, "select count(*) from node_log where kind <> 'refused'")
  const jsz = (await nats.monitor("jsz")) as { readonly messages: number }
  return {
    kills,
    events: committed.length,
    deliveries: subscriber.seen.length,
    missing: committed.filter((id) => !first.has(id)),
    outOfOrder,
    unverified: subscriber.seen.flatMap(({ framed, id, verdict }) =>
      framed && !verdict.verified ? [`${id}: ${verdict.reason}`] : []
    ),
    unknown: [...first.keys()].filter((id) => !committed.includes(id)),
    storedTwice: jsz.messages - Number(total[0]?.["count"])
  }
}
