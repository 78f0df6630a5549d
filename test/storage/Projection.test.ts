import { afterAll, expect, it } from "vitest"
import { payloadSlice } from "../../src/storage/PayloadSlice.ts"
import { pgJson, pgText } from "../../src/storage/PgText.ts"
import { holdsAsJsonb } from "../../src/storage/Projection.ts"
import { freshDatabase } from "../harness/freshDatabase.ts"
import { type Random, seeded } from "../harness/Random.ts"
import { openStorage, postgres, sql } from "./openStorage.ts"

const database = await freshDatabase()
const storage = openStorage(postgres(database.url))
afterAll(async () => {
  await storage.dispose()
  await database.drop()
})

const texts: ReadonlyArray<readonly [string, boolean]> = [
  ["null", true],
  ['"\\u0000"', false],
  ['"\\\\u0000"', true],
  ['"\\\\\\u0000"', false],
  ['"\\ud800"', false],
  ['"\\uDC00"', false],
  ['"\\ud83d\\ude00"', true],
  ['"\\ud83dx"', false],
  ['"\\ud83d\\u0041"', false],
  ["1e400000", false],
  ["1E-99999", false],
  ["1e308", true],
  ["1e5000", true],
  ['"deadbe123456"', true],
  ['{"\\u0000":1}', false],
  ["1".repeat(10_000), true],
  ["1".repeat(200_000), false],
  ['"' + "9".repeat(200_000) + '"', true],
  ['["' + "a".repeat(5000) + '\\ud800"]', false]
]

it.for(texts)("%.40s → %s", ([text, holds]) => {
  expect(holdsAsJsonb(text)).toBe(holds)
})

const pieces = ["\\u0000", "\\ud83d", "\\ude00", "\\u0041", "\\\\", '\\"', "u0000", "e99999", "é", "😀", "x"]

const valueOf = (random: Random, depth: number): string => {
  switch (random.int(depth > 3 ? 3 : 5)) {
    case 0:
      return `"${Array.from({ length: random.int(6) }, () => random.pick(pieces)).join("")}"`
    case 1:
      return `${random.pick(["", "-"])}${random.int(1000)}${random.pick(["", ".5", "e5", "e-7", "E+12345", "e131073", "e-20000"])}`
    case 2:
      return random.pick(["true", "false", "null"])
    case 3:
      return `[${Array.from({ length: random.int(4) }, () => valueOf(random, depth + 1)).join(",")}]`
    default:
      return `{${Array.from({ length: random.int(4) }, (_, i) => `"k${i}${random.pick(pieces)}":${valueOf(random, depth + 1)}`).join(",")}}`
  }
}

it("whatever it lets through, Postgres takes: 20,000 seeded texts", async () => {
  const random = seeded(7)
  const made = Array.from({ length: 20_000 }, () => valueOf(random, 0))
  const held = made.filter((text) => {
    JSON.parse(text)
    return holdsAsJsonb(text)
  })
  expect(held.length).toBeGreaterThan(2000)
  expect(held.length).toBeLessThan(made.length)
  const quoted = held.map((text) => `('${text.replaceAll("'", "''")}')`).join(",")
  const [row] = await sql(storage, `select count(v::jsonb) as taken from (values ${quoted}) as t(v)`)
  expect(row).toEqual({ taken: held.length })
})

it("a payload is found in its frame wherever serialisers put it, else it is stored beside it", () => {
  const read = (frame: string, slice: ReturnType<typeof payloadSlice>) =>
    "text" in slice ? slice.text : frame.substr(slice.at - 1, slice.length)
  const payload = `{"payload":[1,"}"]}`
  const frames = [
    `{"type":"message","payload":${payload},"sig":null}`,
    `{"type":"message","payload":${payload},"sig":"ed25519:${"A".repeat(88)}"}`,
    `{"payload": ${payload}, "type": "message", "sig": null}`,
    `{"type":"message","payload":${payload}}`,
    `{"type":"message","sig":null,"payload" :${payload}}`
  ]
  for (const frame of frames) {
    const slice = payloadSlice(frame, payload)
    expect("at" in slice).toBe(true)
    expect(read(frame, slice)).toBe(payload)
  }
  expect(payloadSlice(`{"payload":  ${payload}  , "x":1}`, payload)).toEqual({ text: payload })
  expect(payloadSlice(`{"payload":"😀"}`, '"😀"')).toEqual({ text: '"😀"' })
  expect(payloadSlice(null, payload)).toEqual({ text: payload })
})

it("a hostile frame costs no more than a friendly one", () => {
  const payload = "2" + "1".repeat(500_000)
  const frame = `{"correlation_id":"${"1".repeat(500_000)}", "payload":   ${payload}   }`
  const started = performance.now()
  payloadSlice(frame, payload)
  expect(performance.now() - started).toBeLessThan(500)
})

it("text for columns: NUL and lone surrogates become U+FFFD, all else stays", () => {
  expect(pgText("a\u0000b\ud800")).toBe("a\ufffdb\ufffd")
  expect(JSON.parse(pgJson({ "k\u0000": ["\udc00", "\\u0000", "😀"] }))).toEqual({
    "k\ufffd": ["\ufffd", "\\u0000", "😀"]
  })
})
