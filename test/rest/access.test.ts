import { connect } from "node:net"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { StoreError } from "../../src/storage/StoreError.ts"
import { ID, refused, RestFixture } from "./RestFixture.ts"

let rest: RestFixture
beforeAll(async () => {
  rest = await RestFixture.start()
})
afterAll(() => rest.stop())
beforeEach(() => rest.backstage.reset())

/** Sends the head of a request as it is given, and reads until the server closes. */
const raw = (head: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(rest.port, "127.0.0.1")
    let text = ""
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString()
    })
    socket.on("end", () => resolve(text)).on("error", reject)
    socket.write(`${head}Connection: close\r\n\r\n`)
  })

describe("everything else", () => {
  for (const [method, path, status, code, words] of [
    ["GET", "/", 404, "not_found", "GET /api/v1/apps"],
    ["GET", "/api/v1/app", 404, "not_found", "Did you mean /api/v1/apps?"],
    ["GET", "/api/v1/apps/", 404, "not_found", ""],
    ["GET", "/api//v1/apps", 404, "not_found", ""],
    ["GET", `/api/v1/apps/${ID}/log/more`, 404, "not_found", ""],
    ["GET", "/api/v1/../../etc/passwd", 404, "not_found", ""],
    ["PUT", "/api/v1/apps", 405, "method_not_allowed", "Only GET and HEAD"],
    ["GET", "/api/v1/roots", 405, "method_not_allowed", "Only POST"],
    ["OPTIONS", "/api/v1/roots", 405, "method_not_allowed", "Only POST"],
    ["POST", "/healthz", 405, "method_not_allowed", "GET"],
    ["GET", "/healthz?x=1", 400, "unknown_parameter", "this path takes none"],
    ["GET", "http://elsewhere/api/v1/apps", 400, "bad_target", "path"],
    ["OPTIONS", "*", 400, "bad_target", "path"]
  ] as const) {
    it(`${method} ${path} → ${status}`, async () => {
      const answer = await rest.send(method, path)
      refused(answer, status, code, words)
      if (status === 405) assert.isString(answer.headers.allow)
    })
  }

  for (const [reason, status, code] of [
    ["Unavailable", 503, "unavailable"],
    ["Timeout", 503, "unavailable"],
    ["Closed", 503, "going_away"],
    ["Refused", 500, "internal"]
  ] as const) {
    it(`a database that answers ${reason} → ${status}, without its words`, async () => {
      rest.backstage.storeError = new StoreError({ reason, operation: "apps", message: "geheim" })
      const answer = await rest.send("GET", "/api/v1/apps")
      refused(answer, status, code)
      assert.notInclude(answer.text, "geheim")
      assert.strictEqual(answer.headers["retry-after"], status === 503 ? "1" : undefined)
    })
  }

  it("no call is made when it can't be audited", async () => {
    rest.backstage.storeError = new StoreError({ reason: "Unavailable", operation: "audit", message: "" })
    refused(await rest.post("/api/v1/roots", { appName: "a" }), 503, "unavailable")
    assert.lengthOf(rest.backstage.told, 0)
  })

  it("a defect is a 500 that says where to look", async () => {
    rest.backstage.rows = [
      {
        app_id: ID,
        get status(): string {
          throw new Error("geheim")
        }
      }
    ]
    const answer = await rest.send("GET", "/api/v1/apps")
    refused(answer, 500, "internal", "log")
    assert.notInclude(answer.text, "geheim")
  })

  it("a client that goes away in the middle of its body harms nobody", async () => {
    const socket = connect(rest.port, "127.0.0.1")
    socket.end(
      "POST /api/v1/roots HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    await new Promise((resolve) => socket.on("close", resolve).resume())
    assert.strictEqual((await rest.send("GET", "/healthz")).status, 200)
    assert.lengthOf(rest.backstage.told, 0)
  })
})

describe("who may call without a signature", () => {
  it("open on loopback: anybody on this machine, and it is audited as anonymous", async () => {
    assert.strictEqual((await rest.post("/api/v1/roots", { appName: "a" })).status, 201)
    assert.deepStrictEqual(
      rest.backstage.audit.map(({ actor, decision }) => [actor, decision]),
      [["anonymous", "allow"]]
    )
  })

  for (const path of ["/metrics", "/readyz", "/healthz"]) {
    it(`a rebound name in Host, a foreign Origin, two Hosts → ${path} is refused as well`, async () => {
      refused(await rest.send("GET", path, { headers: { host: "evil.example" } }), 421, "misdirected")
      refused(await rest.send("GET", path, { headers: { origin: "https://evil.example" } }), 403, "origin_refused")
      assert.match(await raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n`), /^HTTP\/1\.1 421 /)
      assert.match(await raw(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n`), /^HTTP\/1\.1 200 /)
    })

    it(`a probe by HTTP/1.0 that names no host gets ${path}`, async () => {
      assert.match(await raw(`GET ${path} HTTP/1.0\r\n`), /^HTTP\/1\.1 200 /)
    })
  }

  it("two Hosts → refused", async () => {
    const request = "GET /api/v1/apps HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
    assert.match(await raw(request), /^HTTP\/1\.1 421 /)
  })

  it("a page of another site takes the privilege away", async () => {
    const headers = { "sec-fetch-site": "cross-site" }
    refused(await rest.send("GET", "/api/v1/apps", { headers }), 401, "signature_missing")
  })

  for (const name of ["x-forwarded-for", "forwarded", "via"]) {
    it(`${name} takes the privilege away`, async () => {
      refused(
        await rest.send("GET", "/api/v1/apps", { headers: { [name]: "1.2.3.4" } }),
        401,
        "signature_missing",
        "without a proxy"
      )
    })
  }

  it("a signature still works behind a proxy", async () => {
    const headers = { ...rest.signed("GET", "/api/v1/apps"), "x-forwarded-for": "1.2.3.4" }
    assert.strictEqual((await rest.send("GET", "/api/v1/apps", { headers })).status, 200)
  })

  it("a wrong signature is refused where none would have been needed", async () => {
    const headers = rest.signed("GET", "/api/v1/crashes")
    refused(await rest.send("GET", "/api/v1/apps", { headers }), 401, "signature_invalid")
  })

  it("a rebound name in Host is refused", async () => {
    refused(
      await rest.send("GET", "/api/v1/apps", { headers: { host: "evil.example" } }),
      421,
      "misdirected",
      "TRAILS_PUBLIC_URL"
    )
  })

  it("a web page's Origin is refused unless it is on the list", async () => {
    refused(
      await rest.post("/api/v1/roots", { appName: "a" }, { origin: "https://evil.example" }),
      403,
      "origin_refused",
      "TRAILS_ALLOWED_ORIGINS"
    )
    assert.lengthOf(rest.backstage.told, 0)
  })

  it("in signed nobody, on loopback neither", async () => {
    const signed = await RestFixture.start({ TRAILS_MIN_LEVEL: "signed" })
    for (const path of [
      "/api/v1/apps",
      `/api/v1/apps/${ID}`,
      `/api/v1/apps/${ID}/log`,
      `/api/v1/apps/${ID}/children`,
      `/api/v1/apps/${ID}/wait?timeout=20`,
      `/api/v1/apps/${ID}/tree`,
      "/api/v1/crashes"
    ]) {
      refused(await signed.send("GET", path), 401, "signature_missing", "RFC 9421")
    }
    refused(await signed.post("/api/v1/roots", { appName: "a" }), 401, "signature_missing")
    refused(await signed.post("/api/v1/children", {}), 401, "signature_missing")
    refused(await signed.send("DELETE", `/api/v1/children/${ID}`), 401, "signature_missing")
    assert.strictEqual((await signed.send("GET", "/readyz")).status, 200)
    assert.strictEqual((await signed.send("GET", "/api/v1/server")).body.level, "signed")
    assert.lengthOf(signed.backstage.told, 0)
    await signed.stop()
  })

  it("in open beyond loopback nobody without a signature, from this machine neither", async () => {
    const wide = await RestFixture.start({ TRAILS_MIN_LEVEL: "open" }, "0.0.0.0")
    refused(await wide.send("GET", "/api/v1/apps"), 401, "signature_missing")
    assert.strictEqual(
      (await wide.send("GET", "/api/v1/apps", { headers: wide.signed("GET", "/api/v1/apps") })).status,
      200
    )
    await wide.stop()
  })

  it("a root's level is never below the server's", async () => {
    const signed = await RestFixture.start({
      TRAILS_MIN_LEVEL: "signed",
      TRAILS_PUBLIC_URL: "https://trails.example.org"
    })
    const path = "/api/v1/roots"
    const weak = JSON.stringify({ appName: "a", secLevel: "open" })
    refused(
      await signed.post(path, JSON.parse(weak), signed.signed("POST", path, { body: weak })),
      403,
      "level_too_weak"
    )
    const body = JSON.stringify({ appName: "a" })
    const answer = await signed.post(path, JSON.parse(body), signed.signed("POST", path, { body }))
    assert.deepStrictEqual(
      [answer.status, answer.body.secLevel, answer.body.serverEp],
      [201, "signed", "wss://trails.example.org/ws"]
    )
    assert.deepInclude(signed.backstage.told[0]![1], { by: { actor: "admin", nodeId: null } })
    await signed.stop()
  })
})
