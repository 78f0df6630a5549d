import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import pg from "pg"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { bundledMigrations, migrate } from "../../src/storage/Migrator.ts"
import * as Postgres from "../../src/storage/Postgres.ts"
import { Redacted } from "effect"
import { type FreshDatabase, freshDatabase } from "../harness/freshDatabase.ts"
import { type OpenStorage, openStorage, postgres, sql } from "./openStorage.ts"

const script = fileURLToPath(new URL("./migrateProcess.ts", import.meta.url))

const firstStart = (url: string) =>
  new Promise<{ readonly code: number | null; readonly output: string }>((resolve) => {
    const child = spawn(process.execPath, [script], { env: { ...process.env, DATABASE_URL: url }, stdio: "pipe" })
    let output = ""
    child.stdout.on("data", (chunk) => (output += String(chunk)))
    child.stderr.on("data", (chunk) => (output += String(chunk)))
    child.on("close", (code) => resolve({ code, output }))
  })

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
    expect(error.message).toMatch(/newer than this trailsd.*999999.*Start the newer trailsd/)
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
  const broken = [
    { number: 1, name: "broken", text: "create table half (a int); select no_such_function()", checksum: "x" }
  ]
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
