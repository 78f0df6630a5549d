import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import pg from "pg"
import { afterEach, expect, it } from "vitest"
import { Postgres } from "../harness/Postgres.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const shared = (): string => process.env["TRAILS_TEST_DATABASE_URL"] ?? ""

const query = async (url: string, text: string): Promise<unknown> => {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000, query_timeout: 2_000 })
  client.on("error", () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows[0] === undefined ? undefined : Object.values(rows[0])[0]
  } finally {
    await client.end().catch(() => undefined)
  }
}

const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const started: Array<Postgres> = []
const create = async (): Promise<Postgres> => {
  const postgres = await Postgres.create()
  started.push(postgres)
  return postgres
}
afterEach(async () => {
  for (const postgres of started.splice(0)) await postgres.dispose()
})

it("the run's server is durable, recent, and reachable from this machine only", async () => {
  expect(await query(shared(), "SHOW fsync")).toBe("on")
  expect(await query(shared(), "SHOW synchronous_commit")).toBe("on")
  expect(await query(shared(), "SHOW listen_addresses")).toBe("127.0.0.1")
  expect(Number(await query(shared(), "SHOW server_version_num"))).toBeGreaterThanOrEqual(150_000)
})

it("a password is asked for: another user of the machine gets no superuser", async () => {
  const wrong = new URL(shared())
  wrong.password = "guessed"
  await expect(query(wrong.href, "SELECT 1")).rejects.toMatchObject({ code: "28P01" })
})

it("what the surroundings configure does not reach the tests", () => {
  const names = Object.keys(process.env).filter((name) => /^(?:TRAILS_|OTEL_|PG[A-Z]|DATABASE_|NATS_)/.test(name))
  expect(names.toSorted()).toEqual(["TRAILS_TEST_DATABASE_URL", "TRAILS_TEST_EMBEDDED_DATA"])
})

it("killed + start → the same port, and every committed row", async () => {
  const postgres = await create()
  await query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS value")
  const pid = postgres.pid ?? 0
  await postgres.kill()
  expect(alive(pid)).toBe(false)
  await expect(query(postgres.url, "SELECT 1")).rejects.toThrow("ECONNREFUSED")
  await postgres.start()
  expect(await query(postgres.url, "SELECT value FROM kept")).toBe(42)
  expect(postgres.log).toContain("database system was not properly shut down")
})

it("frozen → nothing answers; thawed → the same connection goes on", async () => {
  const postgres = await create()
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  postgres.freeze()
  let answered = false
  const answer = client.query("SELECT 1").then(() => (answered = true))
  await expect(query(postgres.url, "SELECT 1")).rejects.toThrow(/timeout/i)
  expect(answered).toBe(false)
  postgres.thaw()
  expect(await answer).toBe(true)
  await client.end()
})

it("stopped + start → the same port, after an orderly shutdown", async () => {
  const postgres = await create()
  await query(postgres.url, "CREATE TABLE kept AS SELECT 42 AS value")
  await postgres.stop()
  await expect(query(postgres.url, "SELECT 1")).rejects.toThrow("ECONNREFUSED")
  await postgres.start()
  expect(await query(postgres.url, "SELECT value FROM kept")).toBe(42)
  expect(postgres.log).not.toContain("database system was not properly shut down")
})

const holder = `
  const { Postgres } = await import(${JSON.stringify(new URL("../harness/Postgres.ts", import.meta.url).href)})
  const postgres = await Postgres.create()
  const { pid } = postgres
  if (process.argv[1] === "frozen") postgres.freeze()
  if (process.argv[1] === "killed") await postgres.kill()
  console.log(JSON.stringify({ pid, folder: postgres.folder }))
  setInterval(() => undefined, 1000)
`

it.for(["running", "frozen", "killed"])(
  "owner killed -9 while its server is %s → server and folder are gone",
  async (state) => {
    const owner = spawn(process.execPath, ["--input-type=module", "-e", holder, state], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const [line] = (await once(createInterface({ input: owner.stdout }), "line")) as [string]
    const { pid, folder } = JSON.parse(line) as { readonly pid: number; readonly folder: string }
    expect(existsSync(folder)).toBe(true)
    owner.kill("SIGKILL")
    await waitUntil("the folder is removed", () => !existsSync(folder), { withinMs: 30_000 })
    await waitUntil("the server is gone", () => !alive(pid))
  }
)

it("owner killed -9 while its cluster is being made → the folder is gone", async () => {
  const parent = mkdtempSync(join(tmpdir(), "trails-owner-"))
  chmodSync(parent, 0o777)
  const owner = spawn(process.execPath, ["--input-type=module", "-e", holder], {
    stdio: "ignore",
    env: { ...process.env, TMPDIR: parent }
  })
  await waitUntil("the cluster is begun", () => existsSync(join(parent, readdirSync(parent)[0] ?? "none", "data")))
  owner.kill("SIGKILL")
  await waitUntil("the folder is removed", () => readdirSync(parent).length === 0, { withinMs: 30_000 })
  rmSync(parent, { recursive: true })
})

it("dispose → server and folder are gone, also after a kill", async () => {
  const postgres = await create()
  await postgres.kill()
  await postgres.dispose()
  expect(existsSync(postgres.folder)).toBe(false)
})
