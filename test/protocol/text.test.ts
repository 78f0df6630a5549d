import { assert, describe, it } from "@effect/vitest"
import { decodeBase64, encodeBase64 } from "../../src/protocol/Base64.ts"
import { decodeEnvelope, encodeEnvelope, encodeInfo, isEnvelopeProblem } from "../../src/protocol/Envelope.ts"
import { asTraceparent, fits, utf8Length } from "../../src/protocol/FieldReader.ts"
import { isWeaker, LEVELS } from "../../src/protocol/Level.ts"
import { startDay, startOfDay } from "../../src/protocol/StartDay.ts"
import { isUuid, parseUuid, uuidBytes } from "../../src/protocol/Uuid.ts"
import { Seeded } from "../conformance/Seeded.ts"

describe("base64", () => {
  it("is the standard one for every length, both ways", () => {
    const random = new Seeded("base64")
    for (let length = 0; length < 300; length++) {
      const bytes = random.bytes(length)
      assert.strictEqual(encodeBase64(bytes), bytes.toString("base64"))
      assert.deepStrictEqual(Buffer.from(decodeBase64(bytes.toString("base64"))!), bytes)
    }
  })

  it("is strict: of 20,000 damaged texts it takes exactly those that encode back to themselves", () => {
    const random = new Seeded("strict base64")
    const characters = "ABZaz09+/=-_ \n%é\u0100".split("")
    for (let round = 0; round < 20_000; round++) {
      const text = random.bytes(random.int(8)).toString("base64")
      const at = random.int(text.length + 1)
      const damaged = text.slice(0, at) + random.pick(characters) + text.slice(at + random.int(2))
      const lenient = Buffer.from(damaged, "base64")
      const strict = decodeBase64(damaged)
      assert.strictEqual(strict !== null, lenient.toString("base64") === damaged, JSON.stringify(damaged))
      if (strict !== null) assert.deepStrictEqual(Buffer.from(strict), lenient)
    }
  })
})

describe("UTF-8 sizes", () => {
  it("are those of the encoded text", () => {
    const random = new Seeded("utf8")
    const characters = ["a", "é", "ࠀ", "\uffff", "😀", "\u007f", "\u0080", "\u07ff", "\ue000"]
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: random.int(20) }, () => random.pick(characters)).join("")
      const size = Buffer.byteLength(text)
      assert.strictEqual(utf8Length(text), size)
      assert.isTrue(fits(text, size))
      if (size > 0) assert.isFalse(fits(text, size - 1))
    }
  })
})

describe("UUIDs", () => {
  it("v1 takes one form; input by people may be in upper case", () => {
    const uuid = "0198c7c9-7b6f-4f30-9d2e-1c2d3e4f5a6b"
    assert.isTrue(isUuid(uuid))
    assert.isFalse(isUuid(uuid.toUpperCase()))
    assert.strictEqual(parseUuid(uuid.toUpperCase()), uuid)
    for (const bad of [
      "",
      uuid.slice(1),
      `${uuid}0`,
      `{${uuid}}`,
      `urn:uuid:${uuid}`,
      uuid.replaceAll("-", ""),
      ` ${uuid}`,
      `${uuid}\n`
    ]) {
      assert.isNull(parseUuid(bad), bad)
    }
    assert.strictEqual(Buffer.from(uuidBytes(uuid)).toString("hex"), uuid.replaceAll("-", ""))
  })
})

describe("trace contexts", () => {
  const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  it.each([good, `01${good.slice(2)}`, `01${good.slice(2)}-what-the-future-brings`])("takes %s", (text) =>
    assert.strictEqual(asTraceparent(text), text)
  )
  it.each([
    "",
    good.toUpperCase(),
    `ff${good.slice(2)}`,
    `${good}-x`,
    good.slice(0, -1),
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-0af7651916cd43dd8448eb211c80319c-${"0".repeat(16)}-01`,
    `01${good.slice(2)}-\u0000`,
    5,
    null
  ])("takes %s as absent", (text) => assert.isNull(asTraceparent(text)))
})

describe("levels and days", () => {
  it("levels are ordered", () => {
    for (const [index, level] of LEVELS.entries()) {
      for (const [floor, least] of LEVELS.entries()) assert.strictEqual(isWeaker(level, least), index < floor)
    }
  })
  it("a day starts where the one before it ends", () => {
    for (let day = -800; day < 800; day++) {
      assert.strictEqual(startDay(startOfDay(day)), day)
      assert.strictEqual(startDay(startOfDay(day) - 1), day - 1)
    }
  })
})

describe("encodeEnvelope", () => {
  it("is read back as it was meant, and leaves out what is null", () => {
    const fields = {
      appId: "0198c7c9-7b6f-4f30-9d2e-1c2d3e4f5a6b",
      parentId: null,
      appName: "wurzel",
      serverEp: "ws://127.0.0.1:8443/ws",
      secLevel: "open" as const,
      scheduledAt: 1790000000000,
      serverPubKey: null,
      tags: { a: 1 },
      supervision: { restarts: 2 }
    }
    const json = encodeEnvelope(fields)
    assert.notInclude(json, "serverPubKey")
    assert.include(json, '"parentId":null')
    const envelope = decodeEnvelope(encodeInfo(json))
    if (isEnvelopeProblem(envelope)) return assert.fail(envelope.problem)
    assert.strictEqual(envelope.json, json)
    assert.strictEqual(envelope.appName, "wurzel")
    assert.deepStrictEqual(envelope.tags, { a: 1 })
    assert.deepStrictEqual(envelope.supervision, { onParentExit: "abandon", onCrash: "notify", restarts: 2 })
  })

  it("the ticket is the last member whatever the order of the fields", () => {
    const ticket = `ed25519:${Buffer.alloc(64, 1).toString("base64")}`
    const json = encodeEnvelope({
      ticket,
      appId: "0198c7c9-7b6f-4f30-9d2e-1c2d3e4f5a6b",
      parentId: null,
      appName: "x",
      serverEp: "ws://h/ws",
      secLevel: "open",
      scheduledAt: 1
    })
    assert.isTrue(json.endsWith(`,"ticket":"${ticket}"}`))
    assert.isFalse(isEnvelopeProblem(decodeEnvelope(encodeInfo(json))))
  })
})
