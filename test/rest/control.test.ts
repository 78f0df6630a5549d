import { randomUUID } from "node:crypto"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { CommandRow, Sent } from "../../src/storage/CommandStore.ts"
import { commandRow } from "./commandRow.ts"
import { ID, refused, RestFixture, signingKey } from "./RestFixture.ts"

let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

const PATH = `/api/v1/apps/${ID}/control`

const queued = (patch: Partial<CommandRow> = {}): Sent => ({
  _tag: "Queued",
  row: commandRow(patch),
  owner: "boot",
  epoch: 7
})

describe("POST apps/{id}/control", () => {
  it("queues the exact text of the payload, hints the owner, and audits it with the command's id", async () => {
    rest.backstage.sent = ({ action, payload }) => queued({ action, payload })
    const answer = await rest.send("POST", PATH, {
      body: '{"action": "reload", "payload": {"n": 12345678901234567890}, "ttlMs": 5000}',
      headers: { "content-type": "application/json" }
    })
    assert.strictEqual(answer.status, 201)
    assert.include(answer.text, '"payload":{"n": 12345678901234567890}')
    const [command] = rest.backstage.commands
    assert.include(command, { appId: ID, action: "reload", payload: '{"n": 12345678901234567890}', ttlMs: 5000 })
    assert.deepEqual(rest.backstage.hints, [[ID, "boot", "commanded", 7]])
    assert.deepInclude(rest.backstage.audit.at(-1), {
      actor: "anonymous",
      action: "control reload",
      appId: ID,
      decision: "allow",
      correlationId: command!.correlationId
    })
  })

  for (const [name, body, code] of [
    ["no action", {}, "bad_member"],
    ["an empty action", { action: "" }, "bad_member"],
    ["an action of 257 bytes", { action: "x".repeat(257) }, "bad_member"],
    ["an action with a zero in it", { action: "a\0b" }, "bad_member"],
    ["cancel", { action: "cancel" }, "reserved_action"],
    ["rotate_keys", { action: "rotate_keys" }, "reserved_action"],
    ["a ttl of 0", { action: "a", ttlMs: 0 }, "bad_member"],
    ["a ttl of 8 days", { action: "a", ttlMs: 8 * 86_400_000 }, "bad_member"],
    ["half a millisecond", { action: "a", timeoutMs: 0.5 }, "bad_member"],
    ["a key that is none", { action: "a", idempotencyKey: 7 }, "bad_member"],
    ["a trace context that is none", { action: "a", traceparent: "00-1" }, "bad_member"],
    ["a mistyped member", { action: "a", paylod: 1 }, "unknown_member"]
  ] as const) {
    it(`${name} → 400, and nothing is queued`, async () => {
      refused(await rest.post(PATH, body), 400, code)
      assert.deepEqual(rest.backstage.commands, [])
    })
  }

  it("a toString that is no action of ours is a name like any other", async () => {
    rest.backstage.sent = () => queued()
    assert.strictEqual((await rest.post(PATH, { action: "toString" })).status, 201)
  })

  it("an unknown node → 404, one that has ended → 409", async () => {
    refused(await rest.post(PATH, { action: "a" }), 404, "not_found")
    rest.backstage.sent = () => ({ _tag: "Ended", status: "done" })
    refused(await rest.post(PATH, { action: "a" }), 409, "terminal", "done")
  })

  it("too much waits for the node → 503, nothing was queued", async () => {
    rest.backstage.sent = () => ({ _tag: "Full" })
    const answer = await rest.post(PATH, { action: "a" })
    refused(answer, 503, "overloaded", "nothing was queued")
    assert.property(answer.headers, "retry-after")
  })

  it("a command that is queued is never answered by 'send it again', also when nobody may wait any more", async () => {
    const stopping = await RestFixture.start()
    stopping.backstage.sent = () => queued({ issuedAt: Date.now(), expiresAt: Date.now() + 60_000 })
    await Effect.runPromise(stopping.backstage.forest.waiters.close)
    const answer = await stopping.post(PATH, { action: "a", timeoutMs: 5000 })
    assert.deepInclude(answer.body, { state: "queued" })
    assert.strictEqual(answer.status, 201)
    await stopping.stop()
  })

  it("the database goes away while a command is queued → it may be sent again only with a key", async () => {
    rest.backstage.isLost = true
    const answer = await rest.post(PATH, { action: "a" })
    refused(answer, 503, "uncertain", `/api/v1/apps/${ID}/commands/${rest.backstage.audit.at(-1)?.correlationId}`)
    assert.notProperty(answer.headers, "retry-after")
    const keyed = await rest.post(PATH, { action: "a", idempotencyKey: "k" })
    refused(keyed, 503, "unavailable")
    assert.property(keyed.headers, "retry-after")
  })

  it("a key that was used → the same command again; for another one → 409", async () => {
    const known = commandRow({ action: "a", payload: "1", state: "answered", ack: true, result: "2" })
    rest.backstage.sent = () => ({ _tag: "Known", row: known })
    const again = await rest.post(PATH, { action: "a", payload: 1, idempotencyKey: "k" })
    assert.strictEqual(again.status, 200)
    assert.deepInclude(again.body, { correlation_id: known.correlationId, state: "answered", ack: true, result: 2 })
    refused(await rest.post(PATH, { action: "a", payload: 3, idempotencyKey: "k" }), 409, "conflict")
    refused(await rest.post(PATH, { action: "b", payload: 1, idempotencyKey: "k" }), 409, "conflict")
  })
})

describe("a node's key (PROTOCOL §9)", () => {
  const child = randomUUID()
  const stranger = randomUUID()
  const key = signingKey()

  beforeEach(() => {
    rest.backstage.keys.set(key.publicKey, [ID])
    rest.backstage.paths.set(ID, [ID])
    rest.backstage.paths.set(child, [ID, child])
    rest.backstage.paths.set(stranger, [stranger])
    rest.backstage.sent = () => queued()
  })

  const signed = (method: string, path: string, body?: object, by = key) => {
    const text = body === undefined ? undefined : JSON.stringify(body)
    const headers = rest.signed(method, path, { key: by, ...(text === undefined ? {} : { body: text }) })
    const typed = text === undefined ? {} : { "content-type": "application/json" }
    return rest.send(method, path, {
      headers: { ...headers, ...typed, host: rest.authority },
      ...(text === undefined ? {} : { body: text })
    })
  }

  it("commands itself and those below it, and the audit log says as whom and why", async () => {
    for (const [appId, reason] of [
      [ID, "itself"],
      [child, "ancestor"]
    ] as const) {
      assert.strictEqual((await signed("POST", `/api/v1/apps/${appId}/control`, { action: "a" })).status, 201)
      assert.include(rest.backstage.commands.at(-1), { appId, issuedBy: `node:${ID}` })
      assert.deepInclude(rest.backstage.audit.at(-1), { actor: `node:${ID}`, appId, decision: "allow", reason })
    }
  })

  it("commands nobody else: refused, audited, nothing queued; whether there is such a node is not told", async () => {
    const unknown = randomUUID()
    for (const appId of [stranger, unknown]) {
      refused(await signed("POST", `/api/v1/apps/${appId}/control`, { action: "a" }), 403, "not_an_ancestor")
      assert.deepInclude(rest.backstage.audit.at(-1), {
        actor: `node:${ID}`,
        appId,
        decision: "deny",
        reason: "not an ancestor"
      })
    }
    assert.deepEqual(rest.backstage.commands, [])
  })

  it("the child does not command its parent", async () => {
    const own = signingKey()
    rest.backstage.keys.set(own.publicKey, [child])
    refused(await signed("POST", PATH, { action: "a" }, own), 403, "not_an_ancestor")
  })

  it("several nodes with one key: whoever of them may, does; a copy of a key elsewhere locks nobody out", async () => {
    rest.backstage.keys.set(key.publicKey, [stranger, ID])
    assert.strictEqual((await signed("POST", `/api/v1/apps/${child}/control`, { action: "a" })).status, 201)
    assert.include(rest.backstage.commands.at(-1), { issuedBy: `node:${ID}` })
  })

  it("reads what is below it, nothing else, and uses no route that is not for it", async () => {
    rest.backstage.rows = [{ app_id: child }, { app_id: stranger }]
    assert.strictEqual((await signed("GET", `/api/v1/apps/${child}`)).status, 200)
    refused(await signed("GET", `/api/v1/apps/${stranger}`), 403, "not_an_ancestor")
    refused(await signed("GET", "/api/v1/apps"), 401, "key_unknown")
    refused(await signed("POST", "/api/v1/roots", { appName: "x" }), 401, "key_unknown")
    refused(await signed("GET", "/api/v1/events?after=0"), 400, "bad_parameter", "app")
  })

  it("a nonce is used once", async () => {
    const body = JSON.stringify({ action: "a" })
    const headers = {
      ...rest.signed("POST", PATH, { key, body }),
      "content-type": "application/json",
      host: rest.authority
    }
    assert.strictEqual((await rest.send("POST", PATH, { body, headers })).status, 201)
    refused(await rest.send("POST", PATH, { body, headers }), 401, "nonce_used")
    assert.lengthOf(rest.backstage.commands, 1)
  })

  it("a stranger's key costs a look into an index, and writes nothing (P16)", async () => {
    const used = rest.backstage.nonces.size
    refused(await signed("POST", PATH, { action: "a" }, signingKey()), 401, "key_unknown")
    assert.deepEqual(rest.backstage.audit, [])
    assert.strictEqual(rest.backstage.nonces.size, used)
  })
})
