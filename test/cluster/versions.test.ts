import { randomBytes, randomUUID } from "node:crypto"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { TrailsNode } from "../../src/client/TrailsNode.ts"
import { nodeAddress } from "../../src/protocol/Subjects.ts"
import { bundledMigrations, type Migration, migrationOf, newestOf } from "../../src/storage/Migration.ts"
import { migrate, type MigrationError } from "../../src/storage/Migrator.ts"
import * as Postgres from "../../src/storage/Postgres.ts"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { makeKeypair, seal } from "../harness/Keypair.ts"
import { readMetrics } from "../harness/Metrics.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { post, rest } from "../harness/Rest.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { makeEnvelope } from "../harness/TestEnvelope.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { born } from "./Crowd.ts"

const KNOWN = bundledMigrations()
const NEWEST = newestOf(KNOWN)

const TABLES =
  "nodes, node_incarnations, node_tree, node_tree_history, node_status, node_log, seals, control_queue, audit_log, replicas, leases, cascades, cascade_nodes"

/** What the next version might add: columns everywhere, with defaults and without, a table, an index. */
const expand = migrationOf(
  NEWEST + 1,
  "wider",
  `-- expand
${TABLES.split(", ")
  .map(
    (table) =>
      `alter table public.${table} add column mood text, add column weight float8 not null default 1, add column facts jsonb;`
  )
  .join("\n")}
create table public.moods (app_id uuid primary key);
create index if not exists node_status_mood on public.node_status (mood) where mood is not null;
`
)

/** And what the one after that takes away, so that it needs the next one at least. */
const contract = migrationOf(
  NEWEST + 2,
  "narrower",
  `-- contract ${NEWEST + 1}
alter table public.node_status drop column rebinds;
`
)

/** The parts of a message between replicas that each version has. */
const said = (members: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ v: 1, from: randomUUID(), at: Date.now(), nonce: randomBytes(16).toString("base64"), ...members })

describe("two replicas beside those of a newer version", () => {
  const serverKey = makeKeypair()
  let database: FreshDatabase
  let nats: NatsServer
  let bus: NatsConnection
  let replicas: ReadonlyArray<Trailsd> = []
  let node: TrailsNode
  let ended: TrailsNode

  const migrateWith = (known: ReadonlyArray<Migration>) =>
    Effect.runPromise(
      Effect.result(migrate(known)).pipe(Effect.provide(Postgres.layer({ url: Redacted.make(database.url) })))
    )
  const query = (sql: string, params: ReadonlyArray<unknown> = []) => queryPostgres(database.url, sql, params)
  const nodeAt = ({ url }: Trailsd) =>
    born(makeEnvelope({ serverEp: url, serverPubKey: serverKey.text, secLevel: "open", startDeadline: 0 }, null).info)
  const commandedBy = async ({ http }: Trailsd): Promise<unknown> => {
    const body = { action: "echo", payload: "still here", timeoutMs: 10_000 }
    return (await post(http, `apps/${node.appId}/control`, body)).body
  }

  beforeAll(async () => {
    database = await freshDatabase()
    nats = await NatsServer.start({ jetstream: true })
    bus = await connect({ servers: nats.url })
    replicas = await Promise.all(
      ["one", "two"].map((name) =>
        Trailsd.reserve({
          databaseUrl: database.url,
          serverKey,
          env: {
            NATS_URL: nats.url,
            NATS_ANY_VERSION: "true",
            SERVER_INSTANCE: name,
            REPLICA_LEASE: "5s",
            DRAIN_DELAY: "0"
          }
        })
      )
    )
    await replicas[0]!.start()
    node = await nodeAt(replicas[0]!)
    ended = await nodeAt(replicas[0]!)
    ended.result({ step: 1 })
    await waitUntil("it has ended", () => ended.stats().waiting === 0)
  })
  afterAll(async () => {
    await Promise.all([node, ended].map((one) => one?.shutdown({ timeoutMs: 1 })))
    await Promise.all(replicas.map((replica) => replica.dispose()))
    await bus?.close()
    await nats?.dispose()
    await database?.drop()
  })

  it("go on, and start, on a database that it has expanded", async () => {
    const [one, two] = replicas as readonly [Trailsd, Trailsd]
    expect(await migrateWith([...KNOWN, expand])).toMatchObject({ _tag: "Success" })
    for (let step = 0; step < 20; step++) node.status({ step })
    await two.start()
    await waitUntil("all is acked", () => node.stats().waiting === 0)
    for (const replica of replicas) expect(await commandedBy(replica)).toMatchObject({ state: "answered" })
    // A replica that was stopped, too: a deployment that goes back.
    await one.stop()
    await one.start()
    await waitUntil("the node is back", () => node.stats().state === "attached")
    for (const replica of replicas) expect(await commandedBy(replica)).toMatchObject({ state: "answered" })
    const told = await query("select count(*)::int4 as reports from node_log where app_id = $1 and kind = 'status'", [
      node.appId
    ])
    expect(told).toEqual([{ reports: 20 }])
    expect(await query("select instance, schema from replicas where reaped_at is null order by 1")).toEqual([
      { instance: "one", schema: NEWEST },
      { instance: "two", schema: NEWEST }
    ])
  })

  it("show and publish what it logs of a kind that they don't know", async () => {
    const published = bus.subscribe("trails.*.enlightened.>", { max: 1 })
    await bus.flush()
    await query(
      `with moved as (update node_status set n = n + 1 where app_id = $1 returning *)
       insert into node_log (app_id, n, day, epoch, incarnation, path_version, kind, data)
       select app_id, n, trails.start_day(now()), epoch, incarnation, 1, 'enlightened', '{"by":"a newer one"}' from moved`,
      [ended.appId]
    )
    for (const { http } of replicas) {
      const { body } = await rest(http, `events?app=${ended.appId}&after=0`)
      const { items } = body as { readonly items: ReadonlyArray<{ readonly type: string }> }
      expect(items.map(({ type }) => type)).toEqual([
        "io.trails.node.connected",
        "io.trails.node.result",
        "io.trails.node.enlightened"
      ])
    }
    await waitUntil("it is published", () => published.getReceived() === 1, { withinMs: 20_000 })
  })

  it("count what they don't understand of it, and hear what they do", async () => {
    const [one, two] = replicas as readonly [Trailsd, Trailsd]
    const [row] = await query("select boot from replicas where instance = 'one' and reaped_at is null")
    const boot = String(row!["boot"])
    const send = (members: Readonly<Record<string, unknown>>) => {
      bus.publish(
        nodeAddress(boot, node.appId),
        seal("trails.v1.replica", said({ to: boot, ...members }), serverKey.secretKey)
      )
    }
    const counts = async () => {
      const metrics = await readMetrics(one.http)
      const of = (name: string) => metrics.get(`trails_replica_messages_${name}`) ?? 0
      return {
        version: of('refused_total{reason="version"}'),
        kinds: of('refused_total{reason="unknown_kind"}'),
        heard: of('accepted_total{kind="moved"}')
      }
    }
    const before = await counts()
    for (let i = 0; i < 3; i++) send({ v: 2, kind: "commanded", app_id: node.appId })
    for (let i = 0; i < 4; i++) send({ kind: "enlightened", app_id: node.appId, light: { much: true } })
    for (let i = 0; i < 5; i++) send({ kind: "moved", app_id: node.appId, epoch: 1, light: [1] })
    await bus.flush()
    await waitUntil("all of them are counted", async () => {
      const { heard, kinds, version } = await counts()
      return version - before.version === 3 && kinds - before.kinds === 4 && heard - before.heard === 5
    })
    expect(await commandedBy(two)).toMatchObject({ state: "answered" })
  })

  it("keep it from taking away what they use, and step down and start no more where it is gone", async () => {
    const refused = await migrateWith([...KNOWN, expand, contract])
    expect(refused).toMatchObject({ failure: { _tag: "MigrationError" } })
    const { message } = (refused as { readonly failure: MigrationError }).failure
    expect(message).toMatch(
      /narrower\) has to wait: .* one \(0\.1\.0, up to \d+\), two \(0\.1\.0, up to \d+\)\. Nothing/
    )
    expect(await commandedBy(replicas[0]!)).toMatchObject({ state: "answered" })

    // As one does who has looked before they started.
    await query("insert into trails.migrations (number, name, checksum, requires) values ($1, 'narrower', 'x', $2)", [
      contract.number,
      contract.requires
    ])
    await waitUntil("both have ended", () => replicas.every(({ isRunning }) => !isRunning), { withinMs: 30_000 })
    const ends = await Promise.all(replicas.map(({ exited }) => exited))
    expect(ends).toEqual(replicas.map(() => ({ code: 75, signal: null })))
    for (const { output } of replicas)
      expect(output).toContain("this version can't work on it any more. Upgrade this replica")
    await replicas[0]!.start({ ready: false })
    expect((await replicas[0]!.exited).code).toBe(78)
    expect(replicas[0]!.output).toContain(
      `migration ${NEWEST + 2} (narrower) is for versions that know migration ${NEWEST + 1}, this one knows up to ${NEWEST}. Start a newer trailsd`
    )
  })
})
