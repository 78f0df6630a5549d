import { assert, describe, it } from "@effect/vitest"
import { memberText, scanObject } from "../../src/protocol/JsonScan.ts"
import { DEPTH, MEMBERS } from "../../src/protocol/Limits.ts"
import { Seeded } from "../conformance/Seeded.ts"
import { writeObject } from "./JsonWriter.ts"

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`

describe("scanObject", () => {
  it("finds the exact text of every member of 5,000 seeded objects, whatever their spelling", () => {
    const random = new Seeded("scan")
    for (let round = 0; round < 5000; round++) {
      const { text, members } = writeObject(random)
      assert.isDefined(parse(text), text)
      const scan = scanObject(text)
      if (typeof scan === "string") return assert.fail(`${scan}: ${text}`)
      assert.strictEqual(scan.keys.length, members.size, text)
      for (const [name, written] of members) assert.strictEqual(memberText(text, scan, name), written, text)
    }
  })

  it("agrees with JSON.parse about 20,000 damaged objects wherever that takes them", () => {
    const random = new Seeded("damage")
    const marks = ['"', "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "0", "e", "\u0000", "\ufeff"]
    let stillJson = 0
    for (let round = 0; round < 20_000; round++) {
      const { text } = writeObject(random, new Map(), false)
      const at = random.int(text.length + 1)
      const cut = random.int(3)
      const damaged = text.slice(0, at) + (random.int(3) === 0 ? "" : random.pick(marks)) + text.slice(at + cut)
      const scan = scanObject(damaged)
      const value = parse(damaged)
      if (typeof value !== "object" || value === null || Array.isArray(value)) continue
      // V8's JSON.parse is no witness for names with escapes (see `ScanFault`).
      if (/\\[^"]*"\s*:/.test(damaged)) continue
      if (typeof scan === "string") {
        assert.include(["depth", "duplicate", "members", "escape"], scan, damaged)
        continue
      }
      stillJson++
      assert.deepStrictEqual(new Set(scan.keys), new Set(Object.keys(value)), damaged)
      for (const key of scan.keys) {
        assert.deepStrictEqual(parse(memberText(damaged, scan, key)!), (value as Record<string, unknown>)[key], damaged)
      }
    }
    assert.isAtLeast(stillJson, 2000, "the damage must not be so great that nothing is compared")
  })

  it(`takes ${DEPTH} levels and refuses one more, wherever they are`, () => {
    assert.isObject(scanObject(`{"a":${nested(DEPTH - 1)}}`))
    assert.strictEqual(scanObject(`{"a":${nested(DEPTH)}}`), "depth")
    assert.strictEqual(scanObject(`{"a":1,"b":{"c":${nested(DEPTH - 1)}}}`), "depth")
    assert.isObject(scanObject(nested(0) + '{"a":"[[[["}'))
    assert.isObject(scanObject(`{"a":[${`${nested(DEPTH - 2)},`.repeat(50)}1]}`), "width is not depth")
    assert.strictEqual(scanObject(`{"a":${nested(DEPTH - 1)}}`, 0, undefined, 2), "depth", "inside another object")
  })

  it("a deep text costs no stack", () => {
    assert.strictEqual(scanObject(`{"a":${"[".repeat(1_000_000)}`), "depth")
    assert.strictEqual(scanObject(`{"a":${'{"a":'.repeat(300_000)}`), "depth")
  })

  it(`takes ${MEMBERS} members and refuses one more`, () => {
    const object = (count: number) => `{${Array.from({ length: count }, (_, index) => `"m${index}":0`).join(",")}}`
    assert.isObject(scanObject(object(MEMBERS)))
    assert.strictEqual(scanObject(object(MEMBERS + 1)), "members")
  })

  it.each(['{"\\u0061":1}', '{"a":1,"\\u0061":2}', '{"a\\"b":1}', '{"\\x":1}'])(
    "refuses a name with escapes: %s",
    (text) => assert.strictEqual(scanObject(text), "escape")
  )

  it.each(['{"a":1,"a":1}', '{"":1,"b":2,"":3}', '{"__proto__":1,"__proto__":2}'])(
    "refuses a member twice: %s",
    (text) => assert.strictEqual(scanObject(text), "duplicate")
  )

  it("leaves members of values inside alone", () => {
    assert.isObject(scanObject('{"a":{"b":1,"b":2},"b":3}'))
  })

  it("looks at no character more than twice: strings of escapes and of quotes stay linear", () => {
    for (const text of [
      `{"a":"${"\\\\".repeat(400_000)}"}`,
      `{"a":"${'\\"'.repeat(400_000)}"}`,
      `{"a":"${"\\".repeat(800_001)}`
    ]) {
      const start = performance.now()
      scanObject(text)
      assert.isBelow(performance.now() - start, 1000, "a quadratic scan of this takes minutes")
    }
  })

  it("stops at the member that it is asked for, and reads nothing behind it", () => {
    const scan = scanObject('{"type":"x","app_id":"y",broken', 0, undefined, 1, "app_id")
    assert.isObject(scan)
    if (typeof scan !== "string") assert.deepStrictEqual(scan.keys, ["type", "app_id"])
  })
})
