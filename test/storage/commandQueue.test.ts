import { randomUUID } from "node:crypto"
import { afterAll, describe, expect, it } from "vitest"
import { CommandStore, MOST_COMMANDS, OPEN_COMMANDS } from "../../src/storage/CommandStore.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"
import { birthOf, bornRow, hotState, logEntry, requestOf, statusWrite } from "./rows.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

const store = await storage.runPromise(CommandStore)
const nodes = await storage.runPromise(NodeStore)

const born = async () => bornRow(await storage.runPromise(nodes.birth(requestOf(birthOf()))))

const send = async (appId: string, idempotencyKey: string | null = null) => {
  const correlationId = randomUUID()
  const command = {
    appId,
    correlationId,
    action: "a",
    payload: "1",
    issuedBy: "admin",
    traceparent: null,
    ttlMs: 600_000
  }
  return { correlationId, sent: await storage.runPromise(store.send({ ...command, idempotencyKey })) }
}

/** Many commands of a node at once. */
const fill = (appId: string, count: number) =>
  sql(
    storage,
    `insert into control_queue (app_id, correlation_id, action, payload, issued_by, expires_at)
    select '${appId}', gen_random_uuid(), 'a', '1', 'admin', now() + interval '1 hour' from generate_series(1, ${count})`
  )

const stateOf = async (appId: string, id: string) => {
  const row = await storage.runPromise(store.read(appId, id))
  return [row?.state, row?.error]
}

describe("a node that ends", () => {
  const finish = async (ago: string) => {
    const node = await born()
    const { correlationId } = await send(node.appId)
    const write = statusWrite(node, node.n, { hot: hotState({ status: "done" }), rows: [logEntry({ kind: "result" })] })
    await storage.runPromise(nodes.append(0, [write]))
    await sql(storage, `update node_log set created_at = now() - interval '${ago}' where app_id = '${node.appId}'`)
    await sql(storage, `update node_status set ended_at = now() - interval '${ago}' where app_id = '${node.appId}'`)
    return { appId: node.appId, correlationId }
  }

  it("takes answers for a while; then what is left expires, by its end in the log", async () => {
    const from = await storage.runPromise(store.lastEnd)
    const old = await finish("1 minute")
    const young = await finish("0 s")
    const behind = await finish("1 minute")
    const { more, upTo } = await storage.runPromise(store.expireEnded(from, 100))
    expect(more).toBe(false)
    expect(await stateOf(old.appId, old.correlationId)).toEqual(["expired", "ended"])
    expect(await stateOf(young.appId, young.correlationId)).toEqual(["queued", null])
    // Its turn comes with the young one's: none is passed over.
    expect(await stateOf(behind.appId, behind.correlationId)).toEqual(["queued", null])
    await sql(storage, `update node_log set created_at = now() - interval '1 minute' where app_id = '${young.appId}'`)
    await storage.runPromise(store.expireEnded(upTo, 100))
    expect(await stateOf(young.appId, young.correlationId)).toEqual(["expired", "ended"])
    expect(await stateOf(behind.appId, behind.correlationId)).toEqual(["expired", "ended"])
  })

  it("whenever that was: what nobody has looked at since is found without its log", async () => {
    const old = await finish("1 day")
    const young = await finish("0 s")
    await storage.runPromise(store.expireLeft(100))
    expect(await stateOf(old.appId, old.correlationId)).toEqual(["expired", "ended"])
    expect(await stateOf(young.appId, young.correlationId)).toEqual(["queued", null])
    // A new holder of the duty begins in front of what is too young.
    await storage.runPromise(store.expireEnded(await storage.runPromise(store.lastEnd), 100))
    await sql(storage, `update node_log set created_at = now() - interval '7 s' where app_id = '${young.appId}'`)
    await storage.runPromise(store.expireEnded(await storage.runPromise(store.lastEnd), 100))
    expect(await stateOf(young.appId, young.correlationId)).toEqual(["expired", "ended"])
  })
})

it(`${MOST_COMMANDS} commands wait for a node at most; a key that was used is known all the same`, async () => {
  const { appId } = await born()
  const { correlationId } = await send(appId, "k")
  await fill(appId, MOST_COMMANDS - 1)
  expect((await send(appId)).sent).toEqual({ _tag: "Full" })
  expect((await send(appId, "k")).sent).toMatchObject({ _tag: "Known", row: { correlationId } })
  await sql(
    storage,
    `update control_queue set answered_at = now(), ack = true where correlation_id = '${correlationId}'`
  )
  expect((await send(appId)).sent).toMatchObject({ _tag: "Queued" })
})

it("who holds all that it may hold hides nobody else who should be told", async () => {
  const [boot, session] = [randomUUID(), randomUUID()]
  const attach = (appId: string) =>
    sql(
      storage,
      `update node_status set owner = '${boot}', session = '${session}', status = 'running' where app_id = '${appId}'`
    )
  const full = await born()
  await attach(full.appId)
  await fill(full.appId, OPEN_COMMANDS)
  await sql(storage, `update control_queue set session = '${session}' where app_id = '${full.appId}'`)
  await fill(full.appId, 5)
  const others = await Promise.all([born(), born(), born()])
  for (const { appId } of others) {
    await attach(appId)
    await send(appId)
  }
  const found: Array<string> = []
  for (let after: string | null = null, page = [""]; page.length > 0; after = page.at(-1) ?? null) {
    page = [...(await storage.runPromise(store.untold(boot, after, 1)))]
    found.push(...page)
  }
  expect(found).toEqual(others.map(({ appId }) => appId).sort())
})
