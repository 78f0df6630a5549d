import { Effect, Schedule } from "effect"
import { afterAll, beforeAll, expect, it } from "vitest"
import { NodeStore, type NodeWrite, type WriteOutcome } from "../../src/storage/NodeStore.ts"
import type { StoreError } from "../../src/storage/StoreError.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { seeded } from "../harness/Random.ts"
import { TcpProxy } from "../harness/TcpProxy.ts"
import { type OpenStorage, openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, bornRow, requestOf, statusWrite } from "./rows.ts"

const LANES = 4
const NODES = 20
const MESSAGES = 500
const FAULTS = 0.05

const database = await freshDatabase()
let proxy: TcpProxy
let storage: OpenStorage

beforeAll(async () => {
  const through = await TcpProxy.inFrontOf(database.url)
  proxy = through.proxy
  storage = openStorage(postgres(through.url, { lanes: LANES }))
})
afterAll(async () => {
  proxy.restore()
  await storage.dispose()
  await proxy.close()
  await database.drop()
})

it(
  "10,000 messages, 5 % of the answers swallowed, 5 % of the statements lost: none lost, none twice (P1, P2)",
  {
    timeout: 90_000
  },
  async () => {
    const store = await storage.runPromise(NodeStore)
    const nodes = await storage.runPromise(
      Effect.forEach(Array.from({ length: NODES }), () => Effect.map(store.birth(requestOf(birthOf())), bornRow), {
        concurrency: 4
      })
    )
    const random = seeded(20251122)
    proxy.fate = () => {
      const at = random.next()
      return at < FAULTS ? "swallow" : at < 2 * FAULTS ? "lose" : "pass"
    }
    // As the storage actor does it: the same writes, with the same write ids, until an answer comes.
    const persist = (lane: number, writes: ReadonlyArray<NodeWrite>) =>
      Effect.retry(store.append(lane, writes), {
        while: (error: StoreError) => error.isRetryable,
        schedule: Schedule.spaced("2 millis")
      })
    const refused: Array<WriteOutcome> = []
    const write = (lane: number) =>
      Effect.gen(function* () {
        const mine = nodes.filter((_, index) => index % LANES === lane)
        for (let seq = 1; seq <= MESSAGES; seq++) {
          const outcomes = yield* persist(
            lane,
            mine.map((node) => statusWrite({ ...node, n: seq }, seq))
          )
          refused.push(...outcomes.filter(({ _tag }) => _tag !== "Committed"))
        }
      })
    await storage.runPromise(Effect.forEach([0, 1, 2, 3], write, { concurrency: "unbounded" }))
    proxy.restore()
    expect(refused).toEqual([])
    expect(proxy.counts.swallowed).toBeGreaterThan(50)
    expect(proxy.counts.lost).toBeGreaterThan(50)
    const [totals] = await sql(
      storage,
      `
    select count(*) as rows, count(distinct (app_id, seq)) as seqs, min(seq) as low, max(seq) as high
    from node_log where kind = 'status'`
    )
    expect(totals).toEqual({ rows: NODES * MESSAGES, seqs: NODES * MESSAGES, low: 1, high: MESSAGES })
    expect(await sql(storage, "select distinct n, last_seq from node_status")).toEqual([
      { n: MESSAGES + 1, last_seq: MESSAGES }
    ])
  }
)

it("a birth whose answer is swallowed is found by its write id, and happened once", async () => {
  const store = await storage.runPromise(NodeStore)
  let commits = 0
  for (let i = 0; i < 10; i++) {
    let chunk = 0
    const fatal = i
    proxy.fate = () => (chunk++ === fatal ? "swallow" : "pass")
    const request = requestOf(birthOf())
    const outcome = await storage.runPromise(
      Effect.retry(store.birth(request), {
        while: (error: StoreError) => error.isRetryable,
        schedule: Schedule.spaced("5 millis")
      })
    )
    proxy.restore()
    if (outcome._tag === "Refused") throw new Error("nobody refuses here")
    expect(outcome.row.writeId).toBe(request.writeId)
    expect(outcome.row.n).toBe(1)
    if (outcome._tag === "Exists") commits += 1
  }
  // At least one of the cuts hit after the commit.
  expect(commits).toBeGreaterThan(0)
})
