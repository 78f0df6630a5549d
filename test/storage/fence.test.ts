import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import pg from "pg"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { NodeStore, type NodeWrite } from "../../src/storage/NodeStore.ts"
import { pgJson } from "../../src/storage/PgText.ts"
import { append } from "../../src/storage/sql/append.ts"
import { lockTreeExclusive } from "../../src/storage/sql/lockTree.ts"
import { writeRecord } from "../../src/storage/WriteRecord.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, hotState, requestOf, statusWrite } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
const clients: Array<pg.Client> = []

const session = async (): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: database.url })
  client.on("error", () => undefined)
  await client.connect()
  clients.push(client)
  return client
}

/** The append as an owner's replica sends it; gives the positions that did not match. */
const appendOn = async (client: pg.Client, write: NodeWrite) =>
  (await client.query(append.text, [pgJson([writeRecord(write, 0, true)])])).rows

let store: NodeStore["Service"]
const bear = async (parentId: string | null = null) => {
  const outcome = await storage.runPromise(store.birth(requestOf(birthOf(), { parentId })))
  if (outcome._tag !== "Born") throw new Error(outcome._tag)
  return outcome.row
}
const stateOf = async (appId: string) =>
  (
    await sql(
      storage,
      `select epoch, n, status, (select count(*) from node_log l where l.app_id = s.app_id) as rows
    from node_status s where app_id = '${appId}'`
    )
  )[0]

const waiting = (client: pg.Client) =>
  waitUntil("the session waits for a lock", async () => {
    const pid = (client as unknown as { processID: number }).processID
    return (
      (await sql(storage, `select from pg_stat_activity where pid = ${pid} and wait_event_type = 'Lock'`)).length === 1
    )
  })

beforeAll(async () => {
  store = await storage.runPromise(NodeStore)
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
})
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

describe("an old owner that dawdles stores nothing after the epoch moved (P4)", () => {
  const takeOver = (node: { appId: string; epoch: number; n: number }): NodeWrite => ({
    ...statusWrite(node, 1),
    hot: hotState({ status: "reconnecting", epoch: node.epoch + 1 })
  })

  it("inside its open transaction, which began before the take-over", async () => {
    const node = await bear()
    const old = await session()
    await old.query("begin")
    await old.query("select epoch, n from node_status where app_id = $1", [node.appId])
    expect(await storage.runPromise(store.append(0, [takeOver(node)]))).toEqual([{ _tag: "Committed" }])
    // It even guesses n; only the epoch tells.
    expect(await appendOn(old, statusWrite({ ...node, n: 2 }, 2))).toEqual([{ i: 0 }])
    await old.query("commit")
    expect(await stateOf(node.appId)).toEqual({ epoch: 2, n: 2, status: "reconnecting", rows: 2 })
  })

  it("waiting for the row while the take-over commits", async () => {
    const node = await bear()
    const [old, heir] = [await session(), await session()]
    await heir.query("begin")
    expect(await appendOn(heir, { ...takeOver(node), rows: takeOver(node).rows })).toEqual([])
    await old.query("begin")
    // The row as the old owner knows it: it matched when its statement began.
    const late = appendOn(old, statusWrite(node, 2))
    await waiting(old)
    await heir.query("commit")
    expect(await late).toEqual([{ i: 0 }])
    await old.query("commit")
    expect(await stateOf(node.appId)).toEqual({ epoch: 2, n: 2, status: "reconnecting", rows: 2 })
  })

  it("the same epoch, but an n that somebody else has used", async () => {
    const node = await bear()
    const other = await session()
    expect(await appendOn(other, statusWrite(node, 1))).toEqual([])
    expect(await appendOn(other, statusWrite(node, 1))).toEqual([{ i: 0 }])
    expect(await stateOf(node.appId)).toMatchObject({ n: 2, rows: 2 })
  })
})

describe("births and seals", () => {
  it("a seal that is committed while the birth waits for the tree's lock is seen", async () => {
    const root = await bear()
    const sealer = await session()
    await sealer.query("begin")
    await sealer.query(lockTreeExclusive.text, [root.appId])
    let sealedBy: string | null = "not asked"
    const request = requestOf(birthOf(), { parentId: root.appId })
    const birth = storage.runPromise(
      store.birth({
        ...request,
        decide: (facts) => {
          sealedBy = facts.sealedBy
          return { _tag: "Refuse" as const, refusal: "parent_sealed" }
        }
      })
    )
    await waitUntil(
      "the birth waits for the tree",
      async () => (await sql(storage, "select from pg_locks where locktype = 'advisory' and not granted")).length === 1
    )
    await sealer.query("insert into seals (app_id, operation) values ($1, $2)", [root.appId, randomUUID()])
    await sealer.query("commit")
    expect(await birth).toEqual({ _tag: "Refused", refusal: "parent_sealed" })
    expect(sealedBy).toBe(root.appId)
  })

  it("a seal waits for births that are under way, so that its plan has them", async () => {
    const root = await bear()
    const sealer = await session()
    const holder = await session()
    await holder.query("begin")
    await holder.query(lockTreeExclusive.text.replace("lock(", "lock_shared("), [root.appId])
    await sealer.query("begin")
    const sealed = sealer.query(lockTreeExclusive.text, [root.appId])
    await waiting(sealer)
    // Births of the same tree do not wait for each other… but queue fairly behind the seal.
    await holder.query("commit")
    await sealed
    await sealer.query("commit")
    expect((await bear(root.appId)).parentId).toBe(root.appId)
  })

  it("the parent cannot become final between the decision and the birth's commit", async () => {
    const parent = await bear()
    const rival = await session()
    await rival.query("begin")
    expect(await appendOn(rival, { ...statusWrite(parent, 1), hot: hotState({ status: "done" }) })).toEqual([])
    let seen: string | undefined
    const request = requestOf(birthOf(), { parentId: parent.appId })
    const birth = storage.runPromise(
      store.birth({
        ...request,
        decide: (facts) => {
          seen = facts.parent?.status
          return { _tag: "Refuse" as const, refusal: "late" }
        }
      })
    )
    await waitUntil(
      "the birth waits for the parent's row",
      async () =>
        (
          await sql(
            storage,
            `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%for share of s%'`
          )
        ).length === 1
    )
    await rival.query("commit")
    await birth
    expect(seen).toBe("done")
  })

  it("two births that replace two of the same nodes crosswise both end (40P01 is retried)", async () => {
    const root = await bear()
    const nodes = [await bear(root.appId), await bear(root.appId)]
    const outcomes = await storage.runPromise(
      Effect.all(
        Array.from({ length: 12 }, (_, index) => {
          const replaced = nodes[index % 2]!
          const request = requestOf(birthOf(), { parentId: root.appId, replaces: replaced.appId })
          return store.birth({
            ...request,
            decide: (facts) => ({
              _tag: "Bear" as const,
              birth: birthOf(),
              replace: { ...statusWrite(facts.replaced!, 0), hot: hotState({ status: "cancelled" }) }
            })
          })
        }),
        { concurrency: "unbounded" }
      )
    )
    expect(outcomes.every(({ _tag }) => _tag === "Born")).toBe(true)
    for (const node of nodes) expect(await stateOf(node.appId)).toMatchObject({ n: 7 })
  })
})
