import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Worker } from "node:worker_threads"
import { Effect, Fiber } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { Partitions } from "../../src/storage/Partitions.ts"
import { PgliteThread, spawnWorker } from "../../src/storage/PgliteThread.ts"
import { Turnstile } from "../../src/storage/Turnstile.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type OpenStorage, openStorage, pglite } from "./openStorage.ts"
import { birthOf, bornRow, requestOf, statusWrite } from "./rows.ts"

const folders: Array<string> = []
const freshFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "trails-pglite-"))
  folders.push(folder)
  return join(folder, "data")
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const text = (sql: string) => ({ name: `test.${sql}`.slice(0, 63), text: sql })

it("kill -9 of its process: what was committed is there, in order (P1, embedded)", { timeout: 90_000 }, async () => {
  const folder = freshFolder()
  const child = spawn(process.execPath, [fileURLToPath(new URL("./pgliteProcess.ts", import.meta.url)), folder], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let output = ""
  child.stdout.on("data", (chunk) => (output += String(chunk)))
  const closed = new Promise((resolve) => child.on("close", resolve))
  await waitUntil("fifty commits", () => output.split("\n").length > 52, { withinMs: 40_000 })
  child.kill("SIGKILL")
  await closed
  const lines = output.split("\n").slice(0, -1)
  const appId = lines[0]!
  const acked = Number(lines.at(-1))
  const storage = openStorage(pglite(folder))
  const store = await storage.runPromise(NodeStore)
  const row = await storage.runPromise(store.read(appId))
  expect(row?.n).toBeGreaterThanOrEqual(acked)
  const log = await storage.runPromise(store.follow(0, 100_000))
  expect(log.map(({ n }) => n)).toEqual(Array.from({ length: row!.n }, (_, index) => index + 1))
  await storage.dispose()
})

describe("one session", () => {
  let storage: OpenStorage
  let db: Database["Service"]
  const run = <A, E>(effect: Effect.Effect<A, E>) => storage.runPromise(effect)
  beforeAll(async () => {
    storage = openStorage(pglite())
    db = await storage.runPromise(Database)
    await run(db.query(text("create table t (a int)"), []))
  })
  afterAll(() => storage.dispose())

  it("a transaction keeps everything else out until its end", async () => {
    const seen: Array<string> = []
    const step = (name: string) => Effect.sync(() => void seen.push(name))
    const slow = db.transaction("slow", (tx) =>
      tx
        .query(text("insert into t values (1)"), [])
        .pipe(
          Effect.andThen(step("inserted")),
          Effect.andThen(tx.query(text("select count(*) from generate_series(1, 200000)"), [])),
          Effect.andThen(step("ends")),
          Effect.andThen(Effect.fail("rolled back"))
        )
    )
    const other = Effect.andThen(db.query(text("select a from t"), []), (rows) => step(`other sees ${rows.length}`))
    await run(Effect.all([Effect.ignore(slow), other], { concurrency: "unbounded" }))
    expect(seen).toEqual(["inserted", "ends", "other sees 0"])
  })

  it("an interrupted transaction leaves nothing, and the next one goes on", async () => {
    let inside = false
    const fiber = Effect.runFork(
      db.transaction("t", (tx) =>
        tx.query(text("insert into t values (2)"), []).pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              inside = true
            })
          ),
          Effect.andThen(Effect.never)
        )
      )
    )
    await waitUntil("the row is inserted", () => inside)
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(await run(db.query(text("select a from t"), []))).toEqual([])
  })

  it("a refused statement is classified as on Postgres, and repeats no value", async () => {
    const error = await run(Effect.flip(db.query(text("select $1::int"), ["hunter2"])))
    expect(error).toMatchObject({ reason: "Refused", code: "22P02" })
    expect(error.message).not.toContain("hunter2")
  })

  it("a plan that was made on small tables is still one of probes", async () => {
    const store = await storage.runPromise(NodeStore)
    const node = bornRow(await run(store.birth(requestOf(birthOf()))))
    for (let n = 1; n < 12; n++) await run(store.append(0, [statusWrite({ ...node, n }, n)]))
    const plan = await run(db.query({ name: "", text: `explain execute "node.append"('[]')` }, []))
    expect(plan.map((row) => row["QUERY PLAN"]).join("\n")).toMatch(
      /Index Scan using node_status_pkey on node_status s.*\n *Index Cond/
    )
  })

  it("rows that change are vacuumed when the partitions are seen to", async () => {
    const dead = async () =>
      (
        await run(
          db.query(
            text(
              "select n_dead_tup as dead, vacuum_count as times from pg_stat_user_tables where relname = 'replicas'"
            ),
            []
          )
        )
      )[0]
    await run(
      db.query(
        text("insert into replicas select gen_random_uuid(), '', '', now(), now(), now() from generate_series(1, 50)"),
        []
      )
    )
    await run(db.query(text("delete from replicas"), []))
    const before = await dead()
    await storage.runPromise(Effect.flatMap(Partitions, ({ ensure }) => ensure))
    expect((await dead())!["times"]).toBe((before!["times"] as number) + 1)
  })

  it("the main thread's timers go on while it computes", async () => {
    let ticks = 0
    const timer = setInterval(() => (ticks += 1), 5)
    await run(db.query(text("select sum(sqrt(g)) from generate_series(1, 3000000) g"), []))
    clearInterval(timer)
    expect(ticks).toBeGreaterThan(10)
  })
})

it(
  "when its thread dies, what was under way is Unavailable, and a folder is opened again",
  { timeout: 60_000 },
  async () => {
    const workers: Array<Worker> = []
    const thread = new PgliteThread(freshFolder(), (folder) => {
      const worker = spawnWorker(folder)
      workers.push(worker)
      return worker
    })
    await Effect.runPromise(thread.started)
    await Effect.runPromise(thread.query(text("create table kept (a int)"), []))
    const fiber = Effect.runFork(
      Effect.flip(thread.query(text("select count(*) from generate_series(1, 50000000)"), []))
    )
    await workers[0]!.terminate()
    expect(await Effect.runPromise(Fiber.join(fiber))).toMatchObject({ reason: "Unavailable", isRetryable: true })
    await waitUntil(
      "the folder is open again",
      () =>
        Effect.runPromise(
          Effect.match(thread.query(text("select a from kept"), []), {
            onSuccess: () => true,
            onFailure: () => false
          })
        ),
      { withinMs: 30_000 }
    )
    expect(workers).toHaveLength(2)
    await thread.close()
  }
)

it("a folder that cannot be opened fails the start, and says what to look at", async () => {
  const storage = openStorage(pglite("/proc/trails-cannot-write-here"))
  await expect(storage.runPromise(Database)).rejects.toMatchObject({
    message: expect.stringContaining("is the data folder writable")
  })
  await storage.dispose()
})

it("the turnstile lets one pass at a time, in order, and survives failures", async () => {
  const turnstile = new Turnstile()
  const order: Array<number> = []
  let inside = 0
  await Effect.runPromise(
    Effect.all(
      Array.from({ length: 5000 }, (_, index) =>
        Effect.ignore(
          turnstile.pass(
            Effect.gen(function* () {
              inside += 1
              expect(inside).toBe(1)
              yield* Effect.yieldNow
              order.push(index)
              inside -= 1
              if (index % 7 === 0) return yield* Effect.fail("no matter")
            })
          )
        )
      ),
      { concurrency: "unbounded" }
    )
  )
  expect(order).toEqual(Array.from({ length: 5000 }, (_, index) => index))
})
