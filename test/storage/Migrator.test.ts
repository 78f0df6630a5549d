import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { bundledMigrations, migrationOf } from "../../src/storage/Migration.ts"
import { migrate } from "../../src/storage/Migrator.ts"
import * as Postgres from "../../src/storage/Postgres.ts"
import { Redacted } from "effect"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { type OpenStorage, openStorage, postgres, sql } from "./openStorage.ts"

const migrateProcess = fileURLToPath(new URL("./migrateProcess.ts", import.meta.url))

const firstStart = (url: string) =>
  new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
    const child = spawn(process.execPath, [migrateProcess], {
      env: { ...process.env, DATABASE_URL: url },
      stdio: "pipe"
    })
    let output = ""
    child.stdout.on("data", (chunk) => (output += String(chunk)))
    child.stderr.on("data", (chunk) => (output += String(chunk)))
    child.on("close", (code) => resolve({ code, output }))
  })

const script = (text: string) => Effect.flatMap(Database, (database) => database.query({ name: "", text }, []))

const databases: Array<FreshDatabase> = []
const fresh = async () => {
  const made = await freshDatabase()
  databases.push(made)
  return made
}
afterAll(async () => {
  for (const made of databases) await made.drop()
})

it("twenty processes may start first at once", { timeout: 90_000 }, async () => {
  const { url } = await fresh()
  const starts = await Promise.all(Array.from({ length: 20 }, () => firstStart(url)))
  expect(starts.filter(({ code }) => code !== 0)).toEqual([])
  expect(starts.every(({ output }) => output === "migrated\n")).toBe(true)
  const storage = openStorage(postgres(url))
  expect(
    (await sql(storage, "select number from trails.migrations order by number")).map(({ number }) => number)
  ).toEqual(bundledMigrations().map(({ number }) => number))
  await storage.dispose()
})

describe("a database that does not fit is refused, and left alone", () => {
  let storage: OpenStorage
  let url: string
  beforeAll(async () => {
    url = (await fresh()).url
    storage = openStorage(postgres(url))
    await sql(storage, "select")
  })
  afterAll(() => storage.dispose())

  const attempt = () =>
    Effect.runPromise(Effect.flip(migrate()).pipe(Effect.provide(Postgres.layer({ url: Redacted.make(url) }))))

  it("newer than this trailsd", async () => {
    await sql(storage, "insert into trails.migrations (number, name, checksum) values (999999, 'from_the_future', 'x')")
    const error = await attempt()
    expect(error._tag).toBe("MigrationError")
    expect(error.message).toMatch(/newer than this trailsd.*999999.*Start a newer trailsd/)
    await sql(storage, "delete from trails.migrations where number = 999999")
  })

  it("a migration was changed after it was applied", async () => {
    await sql(storage, "update trails.migrations set checksum = 'x' where number = 2")
    const error = await attempt()
    expect(error._tag).toBe("MigrationError")
    expect(error.message).toMatch(/migration 2 .*another build/)
  })
})

it("a migration that fails leaves nothing of itself", async () => {
  const { url } = await fresh()
  const layer = Postgres.layer({ url: Redacted.make(url) })
  const broken = [migrationOf(1, "broken", "create table half (a int); select no_such_function()")]
  const error = await Effect.runPromise(Effect.flip(migrate(broken)).pipe(Effect.provide(layer)))
  expect(error).toMatchObject({ _tag: "StoreError", reason: "Refused", code: "42883" })
  const storage = openStorage(postgres(url))
  expect(await sql(storage, "select to_regclass('half') as half")).toEqual([{ half: null }])
  await storage.dispose()
})

it("exit policies of a database from before there were any begin at its newest log row, others go on where they were", async () => {
  const { url } = await fresh()
  const layer = Postgres.layer({ url: Redacted.make(url) })
  const known = bundledMigrations()
  await Effect.runPromise(migrate(known.filter(({ number }) => number < 8)).pipe(Effect.provide(layer)))
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const append = () =>
    client.query(`insert into node_log (app_id, n, day, epoch, incarnation, path_version, kind)
      values (gen_random_uuid(), 1, 1, 1, 1, 1, 'crash') returning id::int4`)
  const id = (await append()).rows[0].id as number
  const cursor = async () =>
    (await client.query("select cursor::int4 from leases where duty = 'exit-policies'")).rows as unknown
  await client.query("begin")
  await client.query(known.find(({ number }) => number === 8)!.text)
  expect(await cursor()).toEqual([{ cursor: id }])
  await client.query("rollback")
  await client.query("insert into leases (duty, expires_at, cursor) values ('exit-policies', now(), 0)")
  await Effect.runPromise(migrate(known).pipe(Effect.provide(layer)))
  expect(await cursor()).toEqual([{ cursor: 0 }])
  await client.end()
})

describe("a newer version's migrations", () => {
  const known = bundledMigrations()
  const next = known.length + 1
  const expand = migrationOf(next, "wider", "-- expand\nalter table public.node_status add column mood text;\n")
  const contract = migrationOf(
    next,
    "narrower",
    `-- contract ${next}\nalter table public.nodes drop column traceparent;\n`
  )
  const run = <A, E>(url: string, effect: Effect.Effect<A, E, Database>) =>
    Effect.runPromise(Effect.provide(effect, Postgres.layer({ url: Redacted.make(url) })))

  it("one that expands lets this version start, one that contracts does not; the rest is still compared", async () => {
    const { url } = await fresh()
    await run(url, migrate([...known, expand]))
    await run(url, migrate(known))
    const after = migrationOf(next + 1, "later", `-- contract ${next}\nselect 1;\n`)
    await run(url, migrate([...known, expand, after]))
    expect((await run(url, Effect.flip(migrate(known)))).message).toBe(
      `the database is newer than this trailsd: its migration ${next + 1} (later) is for versions that know migration ` +
        `${next}, this one knows up to ${next - 1}. Start a newer trailsd, or restore a backup of before its upgrade`
    )
    await run(url, migrate([...known, expand]))
    const changed = [...known, { ...expand, checksum: "x" }]
    expect((await run(url, Effect.flip(migrate(changed)))).message).toMatch(/wider.* belongs to another build/)
    await run(url, script("delete from trails.migrations where number = 7"))
    expect((await run(url, Effect.flip(migrate([...known, expand])))).message).toMatch(/and not 7 \(commands\)/)
  })

  it("one that contracts waits for the replicas that it would break, and for nobody else", async () => {
    const { url } = await fresh()
    await run(url, migrate(known))
    const replica = (name: string, schema: number | null, more = "") =>
      run(
        url,
        script(`insert into replicas (boot, instance, version, schema, expires_at${more === "" ? "" : ", reaped_at"})
          values (gen_random_uuid(), '${name}', '0.1.0', ${schema}, now() + interval '1 minute'${more})`)
      )
    await replica("new", next)
    await replica("gone", 1, ", now()")
    await run(url, script("update replicas set expires_at = now() where instance = 'gone'"))
    await replica("behind", next - 1)
    await replica("ancient", null)
    const refused = await run(url, Effect.flip(migrate([...known, contract])))
    expect(refused).toMatchObject({ _tag: "MigrationError" })
    expect(refused.message).toContain(
      `replicas run that don't know migration ${next}: ancient (0.1.0, older), behind (0.1.0, up to ${next - 1}). Nothing`
    )
    await run(url, script("update replicas set expires_at = now() where instance in ('ancient', 'behind')"))
    await run(url, migrate([...known, contract]))
  })

  it("one that can't get its lock lets those behind it pass, and gives up with a remedy in the end", async () => {
    const { url } = await fresh()
    await run(url, migrate(known))
    const holder = new pg.Client({ connectionString: url })
    await holder.connect()
    await holder.query("begin; select count(*) from node_status")
    const attempt = (times: number) => migrate([...known, expand], { lockMs: 200, pauseMs: 100, times })
    const refused = await run(url, Effect.flip(attempt(1)))
    expect(refused).toMatchObject({ _tag: "MigrationError", message: expect.stringMatching(/long transactions/) })
    const waiting = run(url, attempt(100))
    await run(url, script("select count(*) from node_status"))
    await holder.query("commit")
    await waiting
    await holder.end()
    await run(url, script("select mood from node_status"))
  })
})
