import { assert, describe, it } from "@effect/vitest"
import { parseByteSequences, parseInnerLists } from "../../src/transports/rest/StructuredField.ts"

describe("dictionaries of byte sequences", () => {
  it("are read with one or several members", () => {
    const read = parseByteSequences("sha-256=:AQI=:, b=:Aw==:")
    assert.deepStrictEqual(
      [...(read ?? [])].map(([key, bytes]) => [key, [...bytes]]),
      [
        ["sha-256", [1, 2]],
        ["b", [3]]
      ]
    )
  })

  for (const text of [
    "",
    "a",
    "a=",
    "a=:AQ=:",
    "a=:AQ==",
    "a=AQ==",
    "a=:AQ==:;p=1",
    "A=:AQ==:",
    "a=:AQ==:,",
    "a=:AQ==: ,b=:AQ==:",
    "a=:AQ==:, a=:AQ==:",
    " a=:AQ==:",
    "a=:AQ==: ",
    "a=:AR==:",
    "a=?1",
    "a=:A Q==:"
  ])
    it(`refuses ${JSON.stringify(text)}`, () => assert.isNull(parseByteSequences(text)))
})

describe("dictionaries of inner lists", () => {
  it("give items, parameters and the exact text", () => {
    const text = '("@method" "x-\\"y");created=1;nonce="n";neg=-5'
    const list = parseInnerLists(`sig1=${text}`)?.get("sig1")
    assert.deepStrictEqual(list?.items, ["@method", 'x-"y'])
    assert.deepStrictEqual(
      [...(list?.parameters ?? [])],
      [
        ["created", 1],
        ["nonce", "n"],
        ["neg", -5]
      ]
    )
    assert.strictEqual(list?.text, text)
  })

  it("an empty list is a list", () => assert.deepStrictEqual(parseInnerLists("a=()")?.get("a")?.items, []))

  for (const text of [
    "a=(",
    'a=("x"',
    'a=( "x")',
    'a=("x"  "y")',
    'a=("x""y")',
    "a=(x)",
    'a=("x";sf)',
    'a=("x");b',
    "a=();b=1.5",
    "a=();b=01",
    "a=();b=1;b=2",
    "a=(); b=1",
    "a=();b=1234567890123456",
    'a=("\\x")',
    'a=("é")',
    'a=("\u0007")',
    "a=()b"
  ])
    it(`refuses ${JSON.stringify(text)}`, () => assert.isNull(parseInnerLists(text)))
})
