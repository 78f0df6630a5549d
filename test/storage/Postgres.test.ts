import { Effect, Fiber, Redacted } from "effect"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { Database } from "../../src/storage/Database.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import * as Postgres from "../../src/storage/Postgres.ts"
import type { StoreError } from "../../src/storage/StoreError.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { TcpProxy } from "../harness/TcpProxy.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type OpenStorage, openStorage, postgres } from "./openStorage.ts"
import { birthOf, bornRow, requestOf, statusWrite } from "./rows.ts"

const database = await freshDatabase()
let proxy: TcpProxy
let storage: OpenStorage
let db: Database["Service"]
let store: NodeStore["Service"]

beforeAll(async () => {
  const through = await TcpProxy.inFrontOf(database.url)
  proxy = through.proxy
  storage = openStorage(
    postgres(through.url, {
      lanes: 2,
      pool: 2,
      limits: { connect: 1000, poolWait: 300, statement: 1000, answerGrace: 300, ping: 500 }
    })
  )
  db = await storage.runPromise(Database)
  store = await storage.runPromise(NodeStore)
})
afterEach(async () => {
  proxy.restore()
  await recovered()
})
afterAll(async () => {
  await storage.dispose()
  await proxy.close()
  await database.drop()
})

const run = <A, E>(effect: Effect.Effect<A, E>) => storage.runPromise(effect)
const failure = <A>(effect: Effect.Effect<A, StoreError>) => run(Effect.flip(effect))
const text = (sql: string) => ({ name: `test.${sql.slice(0, 40)}`, text: sql })
const one = text("select 1 as one")
/** All connections work: what was broken has been noticed and replaced. */
const recovered = () =>
  waitUntil("every connection is back", () =>
    run(
      Effect.all([db.ping, db.query(one, []), db.query(one, []), ...db.lanes.map((lane) => lane.query(one, []))], {
        concurrency: "unbounded"
      }).pipe(Effect.match({ onSuccess: () => true, onFailure: () => false }))
    )
  )
const bear = async () => {
  return bornRow(await run(store.birth(requestOf(birthOf()))))
}

describe("loss of the connection", () => {
  it("under a statement: Unavailable, on pool and lane alike", async () => {
    for (const connection of [db, db.lanes[0]!]) {
      await run(connection.query(one, []))
      const fiber = Effect.runFork(Effect.flip(connection.query(text("select pg_sleep(0.9)"), [])))
      await waitUntil(
        "the statement is under way",
        async () =>
          (
            await run(
              db.query(
                text("select from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'"),
                []
              )
            )
          ).length === 1
      )
      proxy.breakAll()
      expect(await Effect.runPromise(Fiber.join(fiber))).toMatchObject({ reason: "Unavailable", isRetryable: true })
      await recovered()
    }
  })

  it("while it lasts calls fail in bounded time; after it everything goes on by itself", async () => {
    const node = await bear()
    proxy.cut()
    const started = performance.now()
    const errors = await run(
      Effect.all(
        [
          Effect.flip(db.ping),
          Effect.flip(store.append(0, [statusWrite(node, 1)])),
          Effect.flip(store.read(node.appId)),
          Effect.flip(store.birth(requestOf(birthOf())))
        ],
        { concurrency: "unbounded" }
      )
    )
    expect(errors.map(({ isRetryable }) => isRetryable)).toEqual([true, true, true, true])
    expect(performance.now() - started).toBeLessThan(5000)
    proxy.restore()
    await waitUntil("the database is back", () =>
      run(Effect.match(db.ping, { onSuccess: () => true, onFailure: () => false }))
    )
    expect(await run(store.append(1, [statusWrite(node, 1)]))).toEqual([{ _tag: "Committed" }])
    expect((await run(store.read(node.appId)))?.n).toBe(2)
  })

  it("the server ends the sessions (57P01): Unavailable, then all resumes", async () => {
    const node = await bear()
    await run(db.lanes[0]!.query(one, []))
    await run(
      Effect.ignore(
        db.query(
          text(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
          ),
          []
        )
      )
    )
    await waitUntil("the lane is back", () =>
      run(
        Effect.match(db.lanes[0]!.query(one, []), {
          onSuccess: () => true,
          onFailure: (error) => {
            expect(error.reason).toBe("Unavailable")
            return false
          }
        })
      )
    )
    expect(await run(store.append(0, [statusWrite(node, 1)]))).toEqual([{ _tag: "Committed" }])
  })
})

describe("a prepared statement that a migration has outdated", () => {
  it.for(["pool", "lane"])("on the %s: Unavailable once, then it runs on a new connection", async (where) => {
    const connection = where === "pool" ? db : db.lanes[0]!
    const table = `outdated_${where}`
    await run(db.query({ name: "", text: `create table ${table} (a int)` }, []))
    const all = { name: table, text: `select * from ${table}` }
    for (let i = 0; i < 4; i++) await run(connection.query(all, []))
    await run(db.query({ name: "", text: `alter table ${table} add b int` }, []))
    expect(await failure(connection.query(all, []))).toMatchObject({ reason: "Unavailable" })
    await waitUntil("it runs again", () =>
      run(Effect.match(connection.query(all, []), { onSuccess: () => true, onFailure: () => false }))
    )
  })
})

describe("limits", () => {
  it("a slow statement: Timeout by the server", async () => {
    expect(await failure(db.query(text("select pg_sleep(20)"), []))).toMatchObject({ reason: "Timeout", code: "57014" })
  })

  it("an answer that never comes: Timeout by the client, and the lane recovers", async () => {
    await run(db.lanes[1]!.query(one, []))
    proxy.answerDelayMs = null
    expect(await failure(db.lanes[1]!.query(one, []))).toMatchObject({ reason: "Timeout" })
    proxy.restore()
    proxy.breakAll()
    await waitUntil("the lane is back", () =>
      run(Effect.match(db.lanes[1]!.query(one, []), { onSuccess: () => true, onFailure: () => false }))
    )
  })

  it("a COMMIT whose answer never comes: Timeout by the client, and the pool goes on", async () => {
    const waiting = failure(
      // Something is answered first: with BEGIN unanswered too, whichever of the two times out first breaks the
      // connection, and the COMMIT may hear of that before its own time is up.
      db.transaction("test", (tx) =>
        Effect.andThen(
          tx.query(one, []),
          Effect.sync(() => {
            proxy.answerDelayMs = null
          })
        )
      )
    )
    expect(await waiting).toMatchObject({ reason: "Timeout" })
    proxy.restore()
    proxy.breakAll()
  })

  it("a ping has a limit of its own", async () => {
    await run(db.ping)
    proxy.answerDelayMs = null
    const started = performance.now()
    expect(await failure(db.ping)).toMatchObject({ reason: "Timeout" })
    expect(performance.now() - started).toBeLessThan(1000)
    proxy.restore()
    proxy.breakAll()
  })

  it("no free connection: Unavailable after the pool's limit, and it says why", async () => {
    const hold = db.transaction("hold", (tx) => tx.query(text("select pg_sleep(0.8)"), []))
    const held = run(Effect.all([hold, hold], { concurrency: "unbounded" }))
    await waitUntil(
      "the pool is in use",
      async () =>
        (await run(db.lanes[0]!.query(text("select from pg_stat_activity where query = 'select pg_sleep(0.8)'"), [])))
          .length === 2
    )
    const error = await failure(db.query(one, []))
    expect(error).toMatchObject({ reason: "Unavailable", message: expect.stringContaining("pool is exhausted") })
    await held
    expect(await run(db.query(one, []))).toEqual([{ one: 1 }])
  })
})

describe("transactions", () => {
  it("a failing body leaves nothing, and the connection is used again", async () => {
    await run(db.query(text("create table if not exists t (a int primary key)"), []))
    const insert = text("insert into t values ($1)")
    for (let i = 0; i < 5; i++) {
      expect(
        await run(Effect.flip(db.transaction("t", (tx) => Effect.andThen(tx.query(insert, [1]), Effect.fail("mine")))))
      ).toBe("mine")
      const refused = await run(
        Effect.flip(db.transaction("t", (tx) => Effect.andThen(tx.query(insert, [2]), tx.query(insert, [2]))))
      )
      expect(refused).toMatchObject({ reason: "Refused", code: "23505", message: expect.stringContaining("t_pkey") })
    }
    expect(await run(db.query(text("select * from t"), []))).toEqual([])
  })

  it("an interrupted body leaves nothing", async () => {
    const fiber = Effect.runFork(
      db.transaction("t", (tx) =>
        Effect.andThen(tx.query(text("insert into t values ($1)"), [7]), tx.query(text("select pg_sleep(0.7)"), []))
      )
    )
    await waitUntil(
      "it sleeps",
      async () =>
        (await run(db.query(text("select from pg_stat_activity where query = 'select pg_sleep(0.7)'"), []))).length ===
        1
    )
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect(await run(db.query(text("select * from t"), []))).toEqual([])
  })

  it("a body that commits with its last statement has committed", async () => {
    await run(db.transaction("t", (tx) => tx.commitWith(text("insert into t values ($1)"), [3])))
    expect(await run(db.query(text("select * from t"), []))).toEqual([{ a: 3 }])
    const refused = await run(
      Effect.flip(db.transaction("t", (tx) => tx.commitWith(text("insert into t values ($1)"), [3])))
    )
    expect(refused).toMatchObject({ code: "23505" })
    expect(await run(db.query(one, []))).toEqual([{ one: 1 }])
  })

  it("a deadlock is run again until both are through", async () => {
    await run(db.query(text("insert into t values (10), (11) on conflict do nothing"), []))
    const lock = text("select a from t where a = $1 for update")
    let runs = 0
    const cross = (first: number, second: number) =>
      db.transaction("cross", (tx) =>
        Effect.suspend(() => {
          runs += 1
          return tx
            .query(lock, [first])
            .pipe(
              Effect.andThen(tx.query(text("select pg_sleep(0.1)"), [])),
              Effect.andThen(tx.query(text("set local lock_timeout = 0"), [])),
              Effect.andThen(tx.query(text("set local deadlock_timeout = '50ms'"), [])),
              Effect.andThen(tx.query(lock, [second]))
            )
        })
      )
    await run(Effect.all([cross(10, 11), cross(11, 10)], { concurrency: "unbounded" }))
    expect(runs).toBeGreaterThan(2)
  })
})

describe("secrets", () => {
  const opened = (url: string) =>
    Effect.runPromise(
      Effect.flip(
        Effect.flatMap(Database, (away) => away.query(one, [])).pipe(
          Effect.provide(Postgres.layer({ url: Redacted.make(url), lanes: 1, limits: { connect: 300, poolWait: 300 } }))
        )
      )
    )

  it.for([
    "postgres://ada:hunter2@127.0.0.1:1/trails",
    "postgres://ada:hunter2@[not-a-host]:1/trails",
    "hunter2@nowhere",
    "postgres://ada:hunter2@127.0.0.1:port/trails"
  ])("%s is never repeated in an error", async (url) => {
    const error = await opened(url)
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toContain("DATABASE_URL")
    expect(`${error.message} ${error.stack ?? ""} ${JSON.stringify(error)}`).not.toContain("hunter2")
  })
})
