import { randomUUID } from "node:crypto"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CascadeRow, NewCascade } from "../../src/storage/CascadeStore.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { gone } from "./Forest.ts"
import { ID, refused, RestFixture, signingKey } from "./RestFixture.ts"

let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

const PATH = `/api/v1/apps/${ID}/cancel`

const rowOf = (
  { action, appId, id, issuedBy, scope }: Pick<NewCascade, "action" | "appId" | "id" | "issuedBy" | "scope">,
  patch: Partial<CascadeRow> = {}
): CascadeRow => ({
  id,
  appId,
  appName: "node",
  action,
  scope,
  origin: null,
  reason: "cancelled",
  graceMs: 10_000,
  deadlineMs: null,
  filter: null,
  issuedBy,
  createdAt: 1_790_000_000_000,
  finishedAt: null,
  levels: 1,
  level: 0,
  total: 1,
  counts: { pending: 1, asked: 0, acked: 0, refused: 0, forced: 0, unreachable: 0, already_terminal: 0 },
  ...patch
})

describe("POST apps/{id}/cancel", () => {
  it("an operation that has begun is never answered by 'send it again', also when it can't be read", async () => {
    const begun: Array<NewCascade> = []
    rest.backstage.cascades.begin = (cascade) => {
      begun.push(cascade)
      return Effect.succeed({ _tag: "Begun", id: cascade.id, isNew: true, plan: rowOf(cascade) })
    }
    rest.backstage.cascades.read = () => Effect.fail(gone)
    const answer = await rest.post(PATH, {})
    assert.strictEqual(answer.status, 201)
    assert.deepInclude(answer.body, { id: begun[0]?.id, state: "running", total: 1 })
    assert.lengthOf(begun, 1)
  })

  it("the database goes away while it begins → it may be sent again only with a key", async () => {
    rest.backstage.cascades.begin = () => Effect.fail(gone)
    const answer = await rest.post(PATH, {})
    refused(answer, 503, "uncertain", `/api/v1/cascades?app=${ID}`)
    assert.notProperty(answer.headers, "retry-after")
    const keyed = await rest.post(PATH, { idempotencyKey: "k" })
    refused(keyed, 503, "unavailable")
    assert.property(keyed.headers, "retry-after")
  })

  it("one that an earlier attempt has begun, and that can't be read, is the same", async () => {
    const id = randomUUID()
    rest.backstage.cascades.begin = () => Effect.succeed({ _tag: "Begun", id, isNew: true, plan: null })
    rest.backstage.cascades.read = () => Effect.fail(gone)
    refused(await rest.post(PATH, {}), 503, "uncertain")
  })
})

describe("who may do what to an operation (PROTOCOL §9)", () => {
  const key = signingKey()
  const child = randomUUID()
  const stranger = randomUUID()

  beforeEach(() => {
    rest.backstage.keys.set(key.publicKey, [ID])
    rest.backstage.paths.set(ID, [ID])
    rest.backstage.paths.set(child, [ID, child])
    rest.backstage.paths.set(stranger, [stranger])
  })

  const signed = (path: string, body?: object) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const given = text === undefined ? {} : { body: text }
    const typed = text === undefined ? {} : { "content-type": "application/json" }
    const headers = { ...rest.signed("POST", path, { key, ...given }), ...typed, host: rest.authority }
    return rest.send("POST", path, { headers, ...given })
  }

  it("a dry run is audited as one, allowed and denied", async () => {
    rest.backstage.cascades.preview = (cascade) => Effect.succeed(rowOf(cascade, { id: null }))
    for (const [appId, status, decision, reason] of [
      [child, 200, "allow", "ancestor"],
      [stranger, 403, "deny", "not an ancestor"]
    ] as const) {
      const answer = await signed(`/api/v1/apps/${appId}/cancel?cascade=true`, { dryRun: true })
      assert.strictEqual(answer.status, status)
      assert.deepInclude(rest.backstage.audit.at(-1), {
        actor: `node:${ID}`,
        action: "cancel (dry run)",
        appId,
        decision,
        reason
      })
    }
  })

  it("a node retries what it has begun, and nobody else's: that would go on in his name", async () => {
    const retried: Array<string> = []
    const of = (issuedBy: string) => {
      const id = randomUUID()
      const row = rowOf({ id, appId: child, action: "cancel", scope: "tree", issuedBy })
      rest.backstage.cascades.read = () => Effect.succeed(row)
      rest.backstage.cascades.retry = () => Effect.sync(() => void retried.push(issuedBy))
      return `/api/v1/cascades/${id}/retry`
    }
    refused(await signed(of("admin")), 403, "not_the_issuer")
    assert.deepInclude(rest.backstage.audit.at(-1), { decision: "deny", reason: "not the issuer", appId: child })
    assert.strictEqual((await signed(of(`node:${ID}`))).status, 200)
    assert.deepInclude(rest.backstage.audit.at(-1), { decision: "allow", reason: "ancestor", appId: child })
    // Unsigned, as the administrator may.
    assert.strictEqual((await rest.send("POST", of(`node:${ID}`))).status, 200)
    assert.deepEqual(retried, [`node:${ID}`, `node:${ID}`])
  })
})

describe("GET cascades/{id}?timeout", () => {
  it("who waits is one of those that a server takes, and is told when it stops", async () => {
    const stopping = await RestFixture.start()
    const { waiters } = stopping.backstage.forest
    stopping.backstage.cascades.read = (id) =>
      Effect.succeed(rowOf({ id, appId: ID, action: "cancel", scope: "tree", issuedBy: "admin" }))
    const answers = Promise.all(
      Array.from({ length: 150 }, () => stopping.send("GET", `/api/v1/cascades/${randomUUID()}?timeout=20`))
    )
    await waitUntil("150 wait", async () =>
      /^trails_waiters(?:\{.*\})? 150$/m.test((await stopping.send("GET", "/metrics")).text)
    )
    refused(await stopping.send("GET", `/api/v1/cascades/${randomUUID()}?timeout=20`), 503, "overloaded")
    assert.strictEqual((await stopping.send("GET", `/api/v1/cascades/${randomUUID()}`)).status, 200)
    await Effect.runPromise(waiters.close)
    for (const answer of await answers) refused(answer, 503, "going_away")
    await stopping.stop()
  })
})
