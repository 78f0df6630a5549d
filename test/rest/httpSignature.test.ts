import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { nodeEd25519 } from "../../src/actors/Ed25519.ts"
import { signatureBase } from "../../src/transports/rest/HttpSignature.ts"
import { parseByteSequences, parseInnerLists } from "../../src/transports/rest/StructuredField.ts"
import { RestFixture, signingKey } from "./RestFixture.ts"

const now = () => Math.floor(Date.now() / 1000)

describe("RFC 9421", () => {
  it("the base of the RFC's own Ed25519 example (B.2.6) verifies under its key", () => {
    const headers: Readonly<Record<string, string>> = {
      date: "Tue, 20 Apr 2021 02:07:55 GMT",
      "content-type": "application/json",
      "content-length": "18"
    }
    const covered = parseInnerLists(
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")' +
        ';created=1618884473;keyid="test-key-ed25519"'
    )?.get("sig-b26")
    const signature = parseByteSequences(
      "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"
    )?.get("sig-b26")
    const request = {
      method: "POST",
      target: "/foo?param=Value&Pet=dog",
      header: (name: string) => headers[name] ?? null
    }
    const base = signatureBase(request, covered!, "example.com")
    const key = Buffer.from("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=", "base64")
    assert.isTrue(nodeEd25519.verify(key, Buffer.from(base ?? ""), signature!))
  })
})

describe("a signed server", () => {
  let rest: RestFixture
  const path = "/api/v1/roots"
  const body = JSON.stringify({ appName: "one" })
  const json = { "content-type": "application/json" }

  beforeAll(async () => {
    rest = await RestFixture.start({ TRAILS_MIN_LEVEL: "signed" })
  })
  afterAll(() => rest.stop())
  beforeEach(() => {
    rest.backstage.told.length = 0
    rest.backstage.audit.length = 0
  })
  afterEach(() => {
    // Whatever was refused had no effect.
    if (rest.backstage.audit.every((entry) => entry.decision === "deny")) assert.lengthOf(rest.backstage.told, 0)
  })

  it("takes a signed mutating call, once, and audits it", async () => {
    const answer = await rest.send("POST", path, { body, headers: { ...json, ...rest.signed("POST", path, { body }) } })
    assert.strictEqual(answer.status, 201, answer.text)
    assert.deepStrictEqual(
      rest.backstage.audit.map(({ action, actor, decision }) => [actor, action, decision]),
      [["admin", "POST /api/v1/roots", "allow"]]
    )
  })

  it("takes a signed GET with a query, any number of times", async () => {
    const query = "/api/v1/apps?status=running&limit=5"
    const headers = rest.signed("GET", query)
    assert.strictEqual((await rest.send("GET", query, { headers })).status, 200)
    assert.strictEqual((await rest.send("GET", query, { headers })).status, 200)
    assert.lengthOf(rest.backstage.audit, 0)
  })

  it("takes a signature that covers more headers than it must", async () => {
    const { admin } = rest.backstage
    const digest = rest.signed("GET", "/api/v1/apps")["content-digest"] ?? ""
    const parameters =
      '("@method" "@authority" "@path" "@query" "content-digest" "x-more");created=' +
      `${now()};nonce="0123456789abcdef";keyid="${admin.publicKey}"`
    const covered = parseInnerLists(`s=${parameters}`)?.get("s")
    const values: Readonly<Record<string, string>> = { "content-digest": digest, "x-more": "a, b" }
    const base = signatureBase(
      { method: "GET", target: "/api/v1/apps", header: (name) => values[name] ?? null },
      covered!,
      rest.authority
    )
    const signature = Buffer.from(admin.sign(Buffer.from(base ?? ""))).toString("base64")
    const headers = { "content-digest": digest, "signature-input": `s=${parameters}`, signature: `s=:${signature}:` }
    assert.strictEqual(
      (await rest.send("GET", "/api/v1/apps", { headers: { ...headers, "x-more": ["a", "b"] } })).status,
      200
    )
    assert.strictEqual(
      (await rest.send("GET", "/api/v1/apps", { headers: { ...headers, "x-more": "a" } })).body.code,
      "signature_invalid"
    )
    assert.strictEqual((await rest.send("GET", "/api/v1/apps", { headers })).body.code, "signature_invalid")
  })

  it("localhost is a name of this server too", async () => {
    const authority = `localhost:${rest.port}`
    const headers = { ...rest.signed("GET", "/api/v1/apps", { authority }), host: authority }
    assert.strictEqual((await rest.send("GET", "/api/v1/apps", { headers })).status, 200)
  })

  type Send = readonly [method: string, path: string, headers: Record<string, string>, body?: string]
  /** Name, the code of the refusal, the request as it is sent. */
  const refused: ReadonlyArray<readonly [string, string, () => Send]> = [
    ["no signature", "signature_missing", () => ["POST", path, {}]],
    [
      "Signature without Signature-Input",
      "signature_missing",
      () => {
        const { "signature-input": _, ...others } = rest.signed("POST", path, { body })
        return ["POST", path, others]
      }
    ],
    ["another method", "signature_invalid", () => ["POST", path, rest.signed("DELETE", path, { body })]],
    ["another path", "signature_invalid", () => ["POST", path, rest.signed("POST", "/api/v1/children", { body })]],
    [
      "a query that was not signed",
      "signature_invalid",
      () => ["GET", "/api/v1/apps?limit=5", rest.signed("GET", "/api/v1/apps")]
    ],
    [
      "a query that was taken away",
      "signature_invalid",
      () => ["GET", "/api/v1/apps", rest.signed("GET", "/api/v1/apps?limit=5")]
    ],
    [
      "another authority",
      "signature_invalid",
      () => ["POST", path, rest.signed("POST", path, { body, authority: "other.example" })]
    ],
    [
      "another port",
      "signature_invalid",
      () => ["POST", path, rest.signed("POST", path, { body, authority: "127.0.0.1:1" })]
    ],
    [
      "a changed digest header",
      "signature_invalid",
      () => [
        "POST",
        path,
        {
          ...rest.signed("POST", path, { body }),
          "content-digest": rest.signed("POST", path, { body: "{}" })["content-digest"]!
        }
      ]
    ],
    [
      "another body under the signed digest",
      "digest_mismatch",
      () => ["POST", path, rest.signed("POST", path, { body: "{}" })]
    ],
    ["a stripped body", "bad_json", () => ["POST", path, rest.signed("POST", path, { body }), ""]],
    [
      "61 seconds old",
      "signature_expired",
      () => ["POST", path, rest.signed("POST", path, { body, created: now() - 61 })]
    ],
    [
      "65 seconds in the future",
      "signature_expired",
      () => ["POST", path, rest.signed("POST", path, { body, created: now() + 65 })]
    ],
    ["another key", "key_unknown", () => ["POST", path, rest.signed("POST", path, { body, key: signingKey() })]],
    [
      "another key that claims the administrator's keyid",
      "signature_invalid",
      () => [
        "POST",
        path,
        rest.signed("POST", path, { body, key: { ...signingKey(), publicKey: rest.backstage.admin.publicKey } })
      ]
    ],
    [
      "another nonce than was signed",
      "signature_invalid",
      () => {
        const headers = rest.signed("POST", path, { body })
        const input = headers["signature-input"]!.replace(/nonce="[^"]+"/, 'nonce="0123456789abcdef"')
        return ["POST", path, { ...headers, "signature-input": input }]
      }
    ],
    [
      "another created than was signed",
      "signature_invalid",
      () => {
        const headers = rest.signed("POST", path, { body, created: now() - 5 })
        return [
          "POST",
          path,
          { ...headers, "signature-input": headers["signature-input"]!.replace(/created=\d+/, `created=${now()}`) }
        ]
      }
    ],
    [
      "a flipped bit in the signature",
      "signature_invalid",
      () => {
        const headers = rest.signed("POST", path, { body })
        const bytes = Buffer.from(headers.signature!.slice(6, -1), "base64")
        bytes[10]! ^= 1
        return ["POST", path, { ...headers, signature: `sig1=:${bytes.toString("base64")}:` }]
      }
    ],
    [
      "two signatures",
      "signature_malformed",
      () => {
        const headers = rest.signed("POST", path, { body })
        return [
          "POST",
          path,
          {
            ...headers,
            "signature-input": `${headers["signature-input"]}, ${headers["signature-input"]!.replace("sig1", "sig2")}`,
            signature: `${headers.signature}, ${headers.signature!.replace("sig1", "sig2")}`
          }
        ]
      }
    ],
    [
      "two inputs for one signature",
      "signature_malformed",
      () => {
        const headers = rest.signed("POST", path, { body })
        const input = headers["signature-input"]!
        return ["POST", path, { ...headers, "signature-input": `${input}, ${input.replace("sig1", "sig2")}` }]
      }
    ],
    [
      "two signatures for one input",
      "signature_malformed",
      () => {
        const headers = rest.signed("POST", path, { body })
        const { signature } = headers
        return ["POST", path, { ...headers, signature: `${signature}, ${signature!.replace("sig1", "sig2")}` }]
      }
    ],
    [
      "another label",
      "signature_malformed",
      () => {
        const headers = rest.signed("POST", path, { body })
        return ["POST", path, { ...headers, signature: headers.signature!.replace("sig1", "sig2") }]
      }
    ],
    [
      "another algorithm",
      "signature_malformed",
      () => {
        const headers = rest.signed("POST", path, { body })
        return [
          "POST",
          path,
          { ...headers, "signature-input": headers["signature-input"]!.replace('"ed25519"', '"hmac-sha256"') }
        ]
      }
    ],
    [
      "an empty Signature-Input",
      "signature_malformed",
      () => ["POST", path, { ...rest.signed("POST", path, { body }), "signature-input": "" }]
    ],
    [
      "a digest of another algorithm only",
      "signature_incomplete",
      () => {
        const headers = rest.signed("POST", path, { body })
        return ["POST", path, { ...headers, "content-digest": headers["content-digest"]!.replace("sha-256", "md5") }]
      }
    ]
  ]
  for (const name of ["@method", "@authority", "@path", "@query", "content-digest"]) {
    ;(refused as Array<unknown>).push([
      `${name} not covered`,
      "signature_incomplete",
      () => {
        const headers = rest.signed("POST", path, { body })
        return [
          "POST",
          path,
          {
            ...headers,
            "signature-input": headers["signature-input"]!.replace(new RegExp(`"${name}" ?`), "").replace(" )", ")")
          }
        ]
      }
    ])
  }
  for (const name of ["created", "nonce", "keyid"]) {
    ;(refused as Array<unknown>).push([
      `no ${name}`,
      "signature_incomplete",
      () => {
        const headers = rest.signed("POST", path, { body })
        return [
          "POST",
          path,
          {
            ...headers,
            "signature-input": headers["signature-input"]!.replace(new RegExp(`;${name}=("[^"]*"|\\d+)`), "")
          }
        ]
      }
    ])
  }

  for (const [name, code, make] of refused) {
    it(`${name} → ${code}`, async () => {
      const [method, target, headers, given] = make()
      const sent = method === "POST" ? { body: given ?? body, headers: { ...json, ...headers } } : { headers }
      const answer = await rest.send(method, target, sent)
      assert.strictEqual(answer.body?.code, code, answer.text)
      assert.strictEqual(answer.status, code === "bad_json" ? 400 : 401)
      assert.isAbove(answer.body.detail.length, 20)
    })
  }

  it("a replayed mutating call is refused, audited, and has no effect (P12)", async () => {
    const headers = { ...json, ...rest.signed("POST", path, { body }) }
    assert.strictEqual((await rest.send("POST", path, { body, headers })).status, 201)
    assert.lengthOf(rest.backstage.told, 1)
    const again = await rest.send("POST", path, { body, headers })
    assert.deepStrictEqual([again.status, again.body.code], [401, "nonce_used"])
    assert.lengthOf(rest.backstage.told, 1)
    assert.deepStrictEqual(
      rest.backstage.audit.map((entry) => [entry.decision, entry.reason]),
      [
        ["allow", "administrator's key"],
        ["deny", "nonce_used"]
      ]
    )
  })

  it("a stranger's denial is counted, and neither written nor is its body read (P16)", async () => {
    const metrics = async () =>
      Number(/trails_audit_denies_total (\d+)/.exec((await rest.send("GET", "/metrics")).text)?.[1])
    const before = await metrics()
    const text = await rest.announce("POST", path, { ...json, ...rest.signed("POST", path, { key: signingKey() }) })
    assert.match(text, /^HTTP\/1\.1 401 .*"code":"key_unknown"/s)
    assert.match(text, /\r\nconnection: close\r\n/i)
    assert.strictEqual(await metrics(), before + 1)
    assert.lengthOf(rest.backstage.audit, 0)
  })

  it("a Host with another port is not this server", async () => {
    const headers = { ...rest.signed("GET", "/api/v1/apps", { authority: "127.0.0.1:1" }), host: "127.0.0.1:1" }
    assert.strictEqual((await rest.send("GET", "/api/v1/apps", { headers })).body.code, "signature_invalid")
  })
})

describe("behind TRAILS_PUBLIC_URL", () => {
  let rest: RestFixture
  beforeAll(async () => {
    rest = await RestFixture.start({ TRAILS_MIN_LEVEL: "signed", TRAILS_PUBLIC_URL: "https://Trails.example.org" })
  })
  afterAll(() => rest.stop())

  it("a request signed for the public name passes, whatever Host the proxy sends", async () => {
    const headers = rest.signed("GET", "/api/v1/apps", { authority: "trails.example.org" })
    assert.strictEqual((await rest.send("GET", "/api/v1/apps", { headers })).status, 200)
    assert.strictEqual(
      (await rest.send("GET", "/api/v1/apps", { headers: { ...headers, host: "trails.example.org" } })).status,
      200
    )
  })

  it("the listener's own address still works from this machine", async () => {
    assert.strictEqual(
      (await rest.send("GET", "/api/v1/apps", { headers: rest.signed("GET", "/api/v1/apps") })).status,
      200
    )
  })

  it("another name does not", async () => {
    const headers = rest.signed("GET", "/api/v1/apps", { authority: "other.example.org" })
    assert.strictEqual((await rest.send("GET", "/api/v1/apps", { headers })).body.code, "signature_invalid")
  })
})

describe("beyond loopback without TRAILS_PUBLIC_URL", () => {
  it("a request recorded at another server does not pass here under that server's name", async () => {
    const rest = await RestFixture.start({ TRAILS_MIN_LEVEL: "signed" }, "0.0.0.0")
    const other = { ...rest.signed("GET", "/api/v1/apps", { authority: "other.example" }), host: "other.example" }
    const answer = await rest.send("GET", "/api/v1/apps", { headers: other })
    assert.deepStrictEqual([answer.status, answer.body.code], [401, "signature_invalid"])
    assert.include(answer.body.detail, "TRAILS_PUBLIC_URL")
    assert.strictEqual(
      (await rest.send("GET", "/api/v1/apps", { headers: rest.signed("GET", "/api/v1/apps") })).status,
      200
    )
    await rest.stop()
  })
})
