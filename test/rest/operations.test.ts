import { randomUUID } from "node:crypto"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CascadeRow, NewCascade } from "../../src/storage/CascadeStore.ts"
import { gone } from "./Forest.ts"
import { ID, refused, RestFixture } from "./RestFixture.ts"

let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

const PATH = `/api/v1/apps/${ID}/cancel`

const rowOf = ({ action, appId, id, issuedBy, scope }: NewCascade, patch: Partial<CascadeRow> = {}): CascadeRow => ({
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
      return Effect.succeed({ id: cascade.id, isNew: true, plan: rowOf(cascade) })
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
    rest.backstage.cascades.begin = () => Effect.succeed({ id, isNew: true, plan: null })
    rest.backstage.cascades.read = () => Effect.fail(gone)
    refused(await rest.post(PATH, {}), 503, "uncertain")
  })
})
