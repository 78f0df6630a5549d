import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import type { LogRow } from "../../src/storage/LogRow.ts"
import { ID, OTHER, refused, RestFixture } from "./RestFixture.ts"

let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

const entry = (n: number, payload: string | null): LogRow => ({
  id: 100 + n,
  appId: ID,
  n,
  epoch: 1,
  pathVersion: 1,
  createdAt: 1_700_000_000_000,
  kind: "status",
  incarnation: 1,
  seq: n,
  correlationId: null,
  frame: "{}",
  payload,
  bytes: null,
  data: null,
  traceparent: null
})

describe("health", () => {
  it("/healthz says ok whatever the database does", async () => {
    rest.backstage.problems = ["the database does not answer"]
    assert.deepStrictEqual((await rest.send("GET", "/healthz")).body, { status: "ok" })
  })

  it("/readyz is 200 when nothing is in the way, else 503 with the reasons", async () => {
    assert.deepStrictEqual((await rest.send("GET", "/readyz")).body, { status: "ready" })
    rest.backstage.problems = ["the database does not answer"]
    const answer = await rest.send("GET", "/readyz")
    assert.deepStrictEqual([answer.status, answer.body.problems], [503, ["the database does not answer"]])
  })

  it("/readyz stays 200 with notes of what does not keep it from its work", async () => {
    rest.backstage.notes = ["no connection to NATS"]
    const answer = await rest.send("GET", "/readyz")
    assert.deepStrictEqual([answer.status, answer.body], [200, { status: "ready", notes: ["no connection to NATS"] }])
  })

  it("/metrics is Prometheus text", async () => {
    const answer = await rest.send("GET", "/metrics")
    assert.match(String(answer.headers["content-type"]), /^text\/plain; version=0\.0\.4/)
    assert.include(answer.text, "trails_")
  })

  it("on a loopback listener even probes are asked for by a loopback name: a page may have rebound its own", async () => {
    assert.strictEqual((await rest.send("GET", "/healthz", { headers: { host: "10.1.2.3" } })).status, 421)
    assert.strictEqual((await rest.send("GET", "/healthz", { headers: { host: "localhost" } })).status, 200)
  })

  it("HEAD is answered like GET, without the body", async () => {
    const answer = await rest.send("HEAD", "/healthz")
    assert.deepStrictEqual([answer.status, answer.text, answer.headers["content-length"]], [200, "", "15"])
  })
})

describe("GET /api/v1/server", () => {
  it("tells anybody whom they talk to", async () => {
    const { body, status } = await rest.send("GET", "/api/v1/server")
    assert.closeTo(body.serverTime, Date.now(), 10_000)
    assert.deepStrictEqual(
      [status, { ...body, serverTime: 0, instance: "i" }],
      [
        200,
        {
          version: "1.2.3",
          instance: "i",
          level: "open",
          admission: "open",
          serverPubKey: rest.backstage.server.publicKey,
          serverTime: 0,
          endpoint: `ws://${rest.authority}/ws`,
          storage: "embedded"
        }
      ]
    )
  })
})

describe("GET /api/v1/apps", () => {
  it("gives rows and no next page when there is none", async () => {
    rest.backstage.rows = [{ app_id: ID, app_name: "a" }]
    assert.deepStrictEqual((await rest.send("GET", "/api/v1/apps")).body, {
      items: [{ app_id: ID, app_name: "a" }],
      next: null
    })
  })

  it("gives the key of the last row as next when there is more", async () => {
    rest.backstage.rows = [{ app_id: ID }, { app_id: OTHER }]
    const { body } = await rest.send("GET", "/api/v1/apps?limit=1")
    assert.deepStrictEqual(body, { items: [{ app_id: ID }], next: ID })
    await rest.send("GET", `/api/v1/apps?limit=1&after=${body.next}`)
    assert.deepStrictEqual(rest.backstage.calls[1], ["apps", {}, { limit: 2, after: ID }])
  })

  it("hands every filter on", async () => {
    await rest.send("GET", `/api/v1/apps?status=running&namespace=etl&parent=${ID.toUpperCase()}&name=a%20b`)
    await rest.send("GET", "/api/v1/apps?roots=true")
    await rest.send("GET", "/api/v1/apps?roots=false")
    await rest.send("GET", "/api/v1/apps?prefix=0B9C8F3E-3f6e-4&roots=true&order=newest")
    await rest.send("GET", `/api/v1/apps?prefix=${ID}`)
    await rest.send("GET", `/api/v1/apps?prefix=${ID.replaceAll("-", "")}`)
    const page = { limit: 101, after: null }
    assert.deepStrictEqual(rest.backstage.calls, [
      ["apps", { status: "running", namespace: "etl", parentId: ID, name: "a b" }, page],
      ["apps", { roots: true }, page],
      ["apps", {}, page],
      ["apps", { prefix: "0b9c8f3e3f6e4", roots: true, newest: true }, page],
      ["apps", { prefix: ID.replaceAll("-", "") }, page],
      ["apps", { prefix: ID.replaceAll("-", "") }, page]
    ])
  })

  it("integers beyond 2^53 keep their digits", async () => {
    rest.backstage.rows = [{ app_id: ID, start_time: 9_007_199_254_740_993n, pid: 5n, created_at: new Date(0) }]
    assert.deepStrictEqual((await rest.send("GET", "/api/v1/apps")).body.items, [
      { app_id: ID, start_time: "9007199254740993", pid: 5, created_at: "1970-01-01T00:00:00.000Z" }
    ])
  })

  const bad: ReadonlyArray<readonly [string, string, string]> = [
    ["?staus=running", "unknown_parameter", "did you mean status?"],
    ["?colour=red", "unknown_parameter", "known are: status, namespace"],
    ["?status=sleeping", "bad_parameter", "one of scheduled, connected"],
    ["?status=running&status=done", "bad_parameter", "once"],
    ["?parent=me", "bad_parameter", "UUID"],
    ["?roots=yes", "bad_parameter", "true or false"],
    [`?roots=true&parent=${ID}`, "bad_parameter", "either"],
    ["?prefix=0b9", "bad_parameter", "4 to 32"],
    ["?prefix=0b9c8f3g", "bad_parameter", "hexadecimal"],
    ["?prefix=0b9c-8f3e", "bad_parameter", "hexadecimal"],
    ["?prefix=0b9c8f3e-3f6e4", "bad_parameter", "hexadecimal"],
    [`?prefix=${ID}0`, "bad_parameter", "hexadecimal"],
    ["?prefix=", "bad_parameter", "hexadecimal"],
    ["?roots=true&order=oldest", "bad_parameter", "newest"],
    ["?order=newest", "bad_parameter", "roots=true"],
    ["?limit=0", "bad_parameter", "from 1 to 500"],
    ["?limit=501", "bad_parameter", "from 1 to 500"],
    ["?limit=1e2", "bad_parameter", "from 1 to 500"],
    ["?limit=", "bad_parameter", "from 1 to 500"],
    ["?after=x", "bad_parameter", "UUID"],
    ["?__proto__=x", "unknown_parameter", "known are"]
  ]
  for (const [query, code, words] of bad) {
    it(`${query} → ${code}`, async () => {
      refused(await rest.send("GET", `/api/v1/apps${query}`), 400, code, words)
      assert.lengthOf(rest.backstage.calls, 0)
    })
  }
})

describe("one node", () => {
  it("GET apps/{id} gives its row", async () => {
    rest.backstage.rows = [{ app_id: ID, status: "running" }]
    assert.deepStrictEqual((await rest.send("GET", `/api/v1/apps/${ID}`)).body, { app_id: ID, status: "running" })
  })

  for (const below of ["", "/log", "/children"]) {
    it(`GET apps/{id}${below} of an unknown node → 404`, async () => {
      refused(await rest.send("GET", `/api/v1/apps/${ID}${below}`), 404, "not_found", "GET /api/v1/apps lists them")
    })
    it(`GET apps/{id}${below} of what is no UUID → 400`, async () => {
      refused(await rest.send("GET", `/api/v1/apps/me${below}`), 400, "bad_parameter", "UUID")
    })
  }

  it("the log gives payloads with the digits that they came in", async () => {
    rest.backstage.rows = [{ app_id: ID }]
    rest.backstage.log = [entry(1, '{"big":12345678901234567890,"x":1.10}'), entry(2, null)]
    const { body, text } = await rest.send("GET", `/api/v1/apps/${ID}/log`)
    assert.include(text, '"payload":{"big":12345678901234567890,"x":1.10}}')
    assert.strictEqual(body.items[1].payload, null)
    assert.deepStrictEqual([body.items[0].app_id, body.items[0].created_at], [ID, "2023-11-14T22:13:20.000Z"])
  })

  it("the log is paged by n", async () => {
    rest.backstage.rows = [{ app_id: ID }]
    rest.backstage.log = [1, 2, 3, 4, 5].map((n) => entry(n, null))
    const seen: Array<number> = []
    for (let after: number | null = 0; after !== null;) {
      const { body } = await rest.send("GET", `/api/v1/apps/${ID}/log?limit=2&after=${after}`)
      seen.push(...body.items.map((row: { n: number }) => row.n))
      after = body.next
    }
    assert.deepStrictEqual(seen, [1, 2, 3, 4, 5])
  })

  for (const query of ["?after=-1", "?after=x", "?limit=0", "?since=1"]) {
    it(`log${query} → 400`, async () => {
      assert.strictEqual((await rest.send("GET", `/api/v1/apps/${ID}/log${query}`)).status, 400)
    })
  }

  it("children are paged by id", async () => {
    rest.backstage.rows = [{ app_id: ID }, { app_id: OTHER }]
    const { body } = await rest.send("GET", `/api/v1/apps/${ID}/children?limit=1`)
    assert.strictEqual(body.next, ID)
    assert.deepStrictEqual(rest.backstage.calls, [["children", ID, { limit: 2, after: null }]])
  })
})

describe("GET /api/v1/crashes", () => {
  it("is paged by log id", async () => {
    rest.backstage.rows = [
      { id: 7, app_id: ID },
      { id: 5, app_id: ID }
    ]
    const { body } = await rest.send("GET", "/api/v1/crashes?limit=1")
    assert.strictEqual(body.next, "7")
    await rest.send("GET", "/api/v1/crashes?after=7")
    assert.deepStrictEqual(rest.backstage.calls[1], ["crashes", { limit: 101, after: "7" }])
  })

  it("?after=x → 400", async () => refused(await rest.send("GET", "/api/v1/crashes?after=x"), 400, "bad_parameter"))
})
