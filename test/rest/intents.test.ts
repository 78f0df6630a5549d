import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { nodeEd25519 } from "../../src/actors/Ed25519.ts"
import { decodeEnvelope, encodeEnvelope, encodeInfo, type Envelope } from "../../src/protocol/Envelope.ts"
import type { ErrorCode, NodeState } from "../../src/protocol/Frames.ts"
import { verifyTicket } from "../../src/protocol/Ticket.ts"
import { MAX_BODY } from "../../src/transports/rest/RequestBody.ts"
import { type Answer, ID, OTHER, refused, RestFixture, signingKey } from "./RestFixture.ts"

const CHILD_KEY = signingKey().publicKey
let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

describe("POST /api/v1/roots", () => {
  const made = async (body: unknown): Promise<{ readonly answer: Answer; readonly envelope: Envelope }> => {
    const answer = await rest.post("/api/v1/roots", body)
    assert.strictEqual(answer.status, 201, answer.text)
    return { answer, envelope: decodeEnvelope(answer.body.info) as Envelope }
  }

  it("gives an envelope signed by the server, and declares it", async () => {
    const { answer, envelope } = await made({ appName: "nightly" })
    assert.isTrue(verifyTicket(envelope.json, rest.backstage.server.publicKey, nodeEd25519))
    assert.deepStrictEqual(
      [
        envelope.appName,
        envelope.parentId,
        envelope.secLevel,
        envelope.serverPubKey,
        envelope.serverEp,
        envelope.startDeadline
      ],
      ["nightly", null, "open", rest.backstage.server.publicKey, `ws://${rest.authority}/ws`, 300]
    )
    assert.strictEqual(answer.body.appId, envelope.appId)
    assert.closeTo(Date.parse(answer.body.startBy), Date.now() + 300_000, 10_000)
    const [appId, message] = rest.backstage.told[0]!
    assert.strictEqual(appId, envelope.appId)
    assert.deepInclude(message, {
      _tag: "Declare",
      info: answer.body.info,
      replaces: null,
      by: { actor: "anonymous", nodeId: null }
    })
  })

  it("takes every member over", async () => {
    const childKey = rest.backstage.admin.publicKey
    const { envelope } = await made({
      appName: "a",
      namespace: "etl",
      tags: { a: [1] },
      startDeadline: 0,
      secLevel: "signed",
      childKey,
      originator: { sub: "u", groups: ["g"] },
      supervision: { onParentExit: "cancel", onCrash: "escalate", restarts: 2 },
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    })
    assert.deepInclude(envelope, {
      namespace: "etl",
      tags: { a: [1] },
      startDeadline: 0,
      secLevel: "signed",
      childKey,
      originator: { sub: "u", groups: ["g"] },
      supervision: { onParentExit: "cancel", onCrash: "escalate", restarts: 2 },
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    })
  })

  it("two roots have two ids", async () => {
    assert.notStrictEqual((await made({ appName: "a" })).envelope.appId, (await made({ appName: "a" })).envelope.appId)
  })

  describe("with an id of the caller's choosing", () => {
    const body = { appName: "a", appId: ID, childKey: CHILD_KEY, tags: { n: 1 } }
    /** The node is there from now on, with this envelope. */
    const store = ({ json }: Envelope, status: NodeState = "scheduled") => {
      rest.backstage.births.set(ID, { envelope: json, status })
      rest.backstage.answer = () => ({
        _tag: "Rejected",
        error: { type: "error", code: "registration_failed", message: "exists", retryable: false }
      })
    }

    it("that is the root's", async () => {
      const { answer, envelope } = await made({ ...body, appId: ID.toUpperCase() })
      assert.deepStrictEqual([answer.body.appId, envelope.appId, answer.body.created], [ID, ID, true])
    })

    it("the same request again gets the stored envelope, from wherever it comes", async () => {
      const { answer, envelope } = await made(body)
      store(envelope)
      const headers = { host: `localhost:${rest.port}`, "content-type": "application/json" }
      const again = await rest.send("POST", "/api/v1/roots", { body: JSON.stringify(body), headers })
      assert.deepStrictEqual([again.status, again.body], [200, { ...answer.body, created: false }])
      assert.strictEqual(again.body.serverEp, `ws://${rest.authority}/ws`)
    })

    for (const [name, change] of [
      ["another name", { appName: "b" }],
      ["another key", { childKey: undefined }],
      ["other tags", { tags: { n: 2 } }],
      ["another deadline", { startDeadline: 5 }]
    ] as const) {
      it(`the same id with ${name} → 409 exists`, async () => {
        store((await made(body)).envelope)
        refused(await rest.post("/api/v1/roots", { ...body, ...change }), 409, "exists", "fresh UUID")
      })
    }

    it("a node that has ended, or that was not made here → 409 exists", async () => {
      store((await made(body)).envelope, "start_failed")
      refused(await rest.post("/api/v1/roots", body), 409, "exists", "start_failed")
      rest.backstage.births.set(ID, { envelope: null, status: "running" })
      refused(await rest.post("/api/v1/roots", body), 409, "exists", "not made here")
    })

    it("a refusal for another reason stays what it is", async () => {
      store((await made(body)).envelope)
      rest.backstage.births.clear()
      refused(await rest.post("/api/v1/roots", body), 409, "registration_failed")
    })
  })

  const bad: ReadonlyArray<readonly [string, unknown, number, string, string]> = [
    ["no appName", {}, 400, "bad_member", "appName"],
    ["an appName that is no string", { appName: 5 }, 400, "bad_member", "appName"],
    ["an appName that is too long", { appName: "x".repeat(300) }, 400, "bad_member", "appName"],
    ["a mistyped member", { appName: "a", namspace: "x" }, 400, "unknown_member", "did you mean namespace?"],
    ["an id that is none", { appName: "a", appId: "me" }, 400, "bad_member", "UUID"],
    ["an id that is no string", { appName: "a", appId: [ID] }, 400, "bad_member", "UUID"],
    ["a level that there is not", { appName: "a", secLevel: "secret" }, 400, "bad_member", "secLevel"],
    ["a level that is not there yet", { appName: "a", secLevel: "encrypted" }, 403, "level_too_weak", "yet"],
    ["the strongest level, not there yet", { appName: "a", secLevel: "full" }, 403, "level_too_weak", "yet"],
    ["a deadline beyond 7 days", { appName: "a", startDeadline: 700_000 }, 400, "bad_member", "startDeadline"],
    ["tags that are no object", { appName: "a", tags: [] }, 400, "bad_member", "tags"],
    ["a key that is none", { appName: "a", childKey: "ed25519:AA" }, 400, "bad_member", "childKey"],
    ["a policy that there is not", { appName: "a", supervision: { onCrash: "shrug" } }, 400, "bad_member", "onCrash"],
    ["a list", [], 400, "bad_json", "object"],
    ["a string", "x", 400, "bad_json", "object"]
  ]
  for (const [name, body, status, code, words] of bad) {
    it(`${name} → ${code}`, async () => {
      refused(await rest.post("/api/v1/roots", body), status, code, words)
      assert.lengthOf(rest.backstage.told, 0)
    })
  }

  for (const [name, body, code] of [
    ["not JSON", "{", "bad_json"],
    ["not UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), "bad_json"],
    ["a member twice", '{"appName":"a","appName":"b"}', "bad_json"],
    ["too deep", `{"appName":"a","tags":{"x":${"[".repeat(40)}${"]".repeat(40)}}}`, "bad_json"],
    ["absurdly deep", `{"appName":"a","tags":{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`, "bad_json"],
    ["nothing", "", "bad_json"]
  ] as const) {
    it(`a body that is ${name} → ${code}`, async () => {
      refused(
        await rest.send("POST", "/api/v1/roots", { body, headers: { "content-type": "application/json" } }),
        400,
        code
      )
    })
  }

  it("a web form can't make one", async () => {
    const headers = { "content-type": "text/plain" }
    refused(
      await rest.send("POST", "/api/v1/roots", { body: '{"appName":"a"}', headers }),
      415,
      "unsupported_media_type"
    )
    assert.lengthOf(rest.backstage.told, 0)
  })

  it("a compressed body → 415", async () => {
    const headers = { "content-type": "application/json", "content-encoding": "gzip" }
    refused(await rest.send("POST", "/api/v1/roots", { body: "x", headers }), 415, "unsupported_encoding")
  })

  it("a body beyond 256 KiB that is announced → 413 before any of it was sent", async () => {
    const text = await rest.announce("POST", "/api/v1/roots", { "content-type": "application/json" })
    assert.match(text, /^HTTP\/1\.1 413 .*"code":"too_large"/s)
    assert.match(text, /\r\nconnection: close\r\n/i)
  })

  it("a body beyond 256 KiB in chunks → 413 and the connection closes", async () => {
    const answer = await rest.send("POST", "/api/v1/roots", {
      body: `{"appName":"${"x".repeat(MAX_BODY)}"}`,
      headers: { "content-type": "application/json", "transfer-encoding": "chunked", connection: "keep-alive" }
    })
    refused(answer, 413, "too_large", "262144")
    assert.strictEqual(answer.headers.connection, "close")
  })
})

describe("POST /api/v1/children", () => {
  const info = encodeInfo(
    encodeEnvelope({
      appId: ID,
      parentId: OTHER,
      appName: "c",
      serverEp: "ws://h/ws",
      secLevel: "open",
      scheduledAt: Date.now()
    })
  )

  it("declares the child: 201 when it is new, 200 when it was there", async () => {
    const first = await rest.post("/api/v1/children", { info })
    assert.deepStrictEqual([first.status, first.body], [201, { appId: ID, parentId: OTHER, created: true }])
    const [appId, message] = rest.backstage.told[0]!
    assert.strictEqual(appId, ID)
    assert.deepInclude(message, { _tag: "Declare", info, replaces: null, by: { actor: "anonymous", nodeId: null } })
    rest.backstage.answer = () => ({ _tag: "Done", appId: ID, created: false })
    assert.strictEqual((await rest.post("/api/v1/children", { info })).status, 200)
  })

  it("hands replaces on", async () => {
    await rest.post("/api/v1/children", { info, replaces: OTHER })
    assert.deepInclude(rest.backstage.told[0]![1], { replaces: OTHER })
  })

  const root = encodeInfo(
    encodeEnvelope({ appId: ID, parentId: null, appName: "c", serverEp: "ws://h/ws", secLevel: "open", scheduledAt: 1 })
  )
  for (const [name, body, code, words] of [
    ["no info", {}, "bad_member", "TRAILS_INFO"],
    ["an info that is none", { info: "%%%" }, "bad_envelope", "base64"],
    ["a root", { info: root }, "bad_envelope", "POST /api/v1/roots"],
    ["replaces that is no UUID", { info, replaces: "me" }, "bad_member", "UUID"],
    ["replaces that is no string", { info, replaces: 5 }, "bad_member", "UUID"],
    ["a mistyped member", { info, replace: OTHER }, "unknown_member", "did you mean replaces?"]
  ] as const) {
    it(`${name} → ${code}`, async () => {
      refused(await rest.post("/api/v1/children", body), 400, code, words)
      assert.lengthOf(rest.backstage.told, 0)
    })
  }

  for (const secLevel of ["encrypted", "full"] as const) {
    it(`a child of level ${secLevel} → level_too_weak: not there yet`, async () => {
      const strong = encodeInfo(
        encodeEnvelope({
          appId: ID,
          parentId: OTHER,
          appName: "c",
          serverEp: "ws://h/ws",
          serverPubKey: rest.backstage.server.publicKey,
          secLevel,
          scheduledAt: 1
        })
      )
      refused(await rest.post("/api/v1/children", { info: strong }), 403, "level_too_weak", "yet")
      assert.lengthOf(rest.backstage.told, 0)
    })
  }

  const codes: ReadonlyArray<readonly [ErrorCode, number, boolean]> = [
    ["ticket_invalid", 403, false],
    ["level_too_weak", 403, false],
    ["deadline_passed", 410, false],
    ["parent_sealed", 409, false],
    ["registration_failed", 409, true],
    ["unavailable", 503, true],
    ["terminal", 409, false]
  ]
  for (const [code, status, retryable] of codes) {
    it(`the actor's ${code} → ${status}${retryable ? " with Retry-After" : ""}`, async () => {
      rest.backstage.answer = () => ({
        _tag: "Rejected",
        error: { type: "error", code, message: "because", retryable, ...(retryable ? { retry_after_ms: 1500 } : {}) }
      })
      const answer = await rest.post("/api/v1/children", { info })
      refused(answer, status, code, "because")
      assert.strictEqual(answer.headers["retry-after"], retryable ? "2" : undefined)
    })
  }

  it("a full mailbox → 503 with Retry-After", async () => {
    rest.backstage.mailboxFull = true
    const answer = await rest.post("/api/v1/children", { info })
    refused(answer, 503, "overloaded", "try again")
    assert.strictEqual(answer.headers["retry-after"], "1")
  })

  it("an actor that does not answer within 10 seconds → 503", { timeout: 15_000 }, async () => {
    rest.backstage.answer = () => null
    refused(await rest.post("/api/v1/children", { info }), 503, "unavailable", "10 seconds")
  })
})

describe("DELETE /api/v1/children/{id}", () => {
  it("deletes the intent", async () => {
    const answer = await rest.send("DELETE", `/api/v1/children/${ID}`)
    assert.deepStrictEqual([answer.status, answer.body], [200, { appId: ID, status: "cancelled" }])
    assert.deepInclude(rest.backstage.told[0]![1], { _tag: "DeleteIntent", by: { actor: "anonymous", nodeId: null } })
  })

  it("an unknown node → 404", async () => {
    rest.backstage.answer = () => ({
      _tag: "Rejected",
      error: { type: "error", code: "not_registered", message: "no such node", retryable: false }
    })
    refused(await rest.send("DELETE", `/api/v1/children/${ID}`), 404, "not_registered")
  })

  it("what is no UUID → 400", async () =>
    refused(await rest.send("DELETE", "/api/v1/children/me"), 400, "bad_parameter"))

  it("a body → 400", async () => {
    refused(
      await rest.send("DELETE", `/api/v1/children/${ID}`, { body: "{}", headers: { "content-length": "2" } }),
      400,
      "unexpected_body"
    )
    assert.lengthOf(rest.backstage.told, 0)
  })
})
