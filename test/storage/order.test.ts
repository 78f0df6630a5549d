import { Effect } from "effect"
import { afterAll, expect, it } from "vitest"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres } from "./openStorage.ts"
import { birthOf, bornRow, hotState, requestOf, statusEntry, statusWrite } from "./rows.ts"

const WRITERS = 4
const NODES = 100
const ROWS_PER_WRITE = 10
const ROUNDS = 100

const database = await freshDatabase()
const storage = openStorage(postgres(database.url, { lanes: WRITERS }))
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

it(
  "a follower under 4 writers misses none of 100,000 rows and sees each node in order",
  { timeout: 90_000 },
  async () => {
    const store = await storage.runPromise(NodeStore)
    const nodes = await storage.runPromise(
      Effect.forEach(Array.from({ length: NODES }), () => Effect.map(store.birth(requestOf(birthOf())), bornRow), {
        concurrency: 8
      })
    )
    let writing = true
    const write = (lane: number) =>
      Effect.gen(function* () {
        const mine = nodes.filter((_, index) => index % WRITERS === lane)
        for (let round = 0; round < ROUNDS; round++) {
          const outcomes = yield* store.append(
            lane,
            mine.map((node) => {
              const n = 1 + round * ROWS_PER_WRITE
              const rows = Array.from({ length: ROWS_PER_WRITE }, (_, index) => statusEntry(node.appId, n + index))
              return { ...statusWrite({ ...node, n }, n), hot: hotState({ status: "running" }), rows }
            })
          )
          expect(outcomes.every(({ _tag }) => _tag === "Committed")).toBe(true)
        }
      })
    const follow = Effect.gen(function* () {
      const lastN = new Map<string, number>()
      let cursor = 0
      let seen = 0
      for (;;) {
        const ended = !writing
        const rows = yield* store.follow(cursor, 2000)
        if (rows.length === 0 && ended) return { seen, cursor }
        for (const row of rows) {
          expect(row.id).toBeGreaterThan(cursor)
          expect(row.n).toBe((lastN.get(row.appId) ?? 0) + 1)
          lastN.set(row.appId, row.n)
          cursor = row.id
          seen += 1
        }
        if (rows.length === 0) yield* Effect.sleep("1 millis")
      }
    })
    const writers = Effect.forEach([0, 1, 2, 3], write, { concurrency: "unbounded" }).pipe(
      Effect.ensuring(
        Effect.sync(() => {
          writing = false
        })
      )
    )
    const [, { seen }] = await storage.runPromise(Effect.all([writers, follow], { concurrency: "unbounded" }))
    expect(seen).toBe(NODES + NODES * ROWS_PER_WRITE * ROUNDS)
  }
)
