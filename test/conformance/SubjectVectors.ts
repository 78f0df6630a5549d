import { createHash } from "node:crypto"
import { Seeded } from "./Seeded.ts"

export interface SubjectVector {
  readonly namespace: string
  readonly kind: string
  /** Ids, root first. */
  readonly path: ReadonlyArray<string>
  readonly subject: string
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

/** Base32 over one big number: slow, and another way than the code under test. */
const shortHash = (bytes: Buffer): string => {
  let value = BigInt(`0x${createHash("sha256").update(bytes).digest("hex")}`) >> 196n
  let text = ""
  for (let index = 0; index < 12; index++, value >>= 5n) text = ALPHABET[Number(value & 31n)]! + text
  return text
}

const labelOf = (id: string): string => shortHash(Buffer.from(id.replaceAll("-", ""), "hex"))

/** namespace → its token; those that are no plain token keep a readable part. */
const namespaces: ReadonlyArray<readonly [string, string]> = [
  ["default", "default"],
  ["etl", "etl"],
  ["team-a-2", "team-a-2"],
  ["0", "0"],
  ["a".repeat(63), "a".repeat(63)],
  ["a".repeat(64), `${"a".repeat(40)}--`],
  ["Etl", "etl--"],
  ["etl ", "etl--"],
  ["Etl Prod", "etl-prod--"],
  ["a--b", "a-b--"],
  ["-a", "a--"],
  ["a.b.>", "a-b--"],
  ["*", "ns--"],
  ["_", "ns--"],
  ["grün", "gr-n--"],
  ["データ", "ns--"]
]

const encoded = (name: string, token: string): string =>
  token.endsWith("--") ? token + shortHash(Buffer.from(name)) : token

export const subjectVectors = () => {
  const random = new Seeded("subjects")
  const ids = Array.from({ length: 16 }, () => random.uuid())
  const tree = (namespace: string, kind: string, depth: number): SubjectVector => ({
    namespace,
    kind,
    path: ids.slice(0, depth),
    subject: [
      "trails",
      encoded(namespace, namespaces.find(([name]) => name === namespace)![1]),
      kind,
      ...ids.slice(0, Math.min(depth, 12)).map(labelOf),
      "_"
    ].join(".")
  })
  return {
    labels: ids.map((id) => ({ id, label: labelOf(id) })),
    namespaces: namespaces.map(([namespace, token]) => ({ namespace, token: encoded(namespace, token) })),
    subjects: [
      tree("default", "connected", 1),
      tree("etl", "crash", 2),
      tree("Etl Prod", "status", 3),
      tree("a.b.>", "error", 12),
      tree("default", "result", 13),
      tree("default", "lost_contact", 16)
    ],
    addresses: [{ boot: ids[0], appId: ids[1], subject: `_trails.replica.${ids[0]}.node.${ids[1]}` }],
    malformed: [
      "",
      "trails",
      "trails.etl.crash._",
      `trails.etl.crash.${labelOf(ids[0]!)}`,
      `trails.etl.explosion.${labelOf(ids[0]!)}._`,
      `trails.ETL.crash.${labelOf(ids[0]!)}._`,
      `trails.etl.crash.${labelOf(ids[0]!)}x._`,
      `trails.*.crash.${labelOf(ids[0]!)}._`,
      `other.etl.crash.${labelOf(ids[0]!)}._`,
      `trails.etl.crash.${`${labelOf(ids[0]!)}.`.repeat(13)}_`
    ]
  }
}

export const startDayVectors = () => ({
  days: [
    ["2025-01-01T00:00:00.000Z", 0],
    ["2025-01-01T23:59:59.999Z", 0],
    ["2025-01-02T00:00:00.000Z", 1],
    ["2024-12-31T23:59:59.999Z", -1],
    ["2024-02-29T12:00:00.000Z", -307],
    ["2025-12-31T23:59:59.999Z", 364],
    ["2026-01-01T00:00:00.000Z", 365],
    ["2028-03-01T00:00:00.000Z", 1155],
    ["1970-01-01T00:00:00.000Z", -20089],
    ["2100-01-01T00:00:00.000Z", 27393]
  ].map(([time, day]) => ({ time, at: Date.parse(String(time)), day }))
})
