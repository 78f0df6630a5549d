import { assert, describe, it } from "@effect/vitest"
import {
  decodeReplicaMessage,
  encodeReplicaMessage,
  REPLICA_MESSAGE_BYTES,
  REPLICA_MESSAGE_NODES,
  type ReplicaContent,
  type ReplicaMessage
} from "../../src/protocol/ReplicaMessage.ts"
import { attachSignature } from "../../src/protocol/SignedFrame.ts"
import { parseReplicaSubject } from "../../src/protocol/Subjects.ts"
import { Seeded } from "../conformance/Seeded.ts"

const random = new Seeded("replica messages")
const A = random.uuid()
const B = random.uuid()
const ID = random.uuid()
const NONCE = random.bytes(16).toString("base64")
const message = (content: ReplicaContent, to = B): ReplicaMessage => ({
  from: A,
  to,
  at: 1_790_000_000_000,
  nonce: NONCE,
  content
})
const many = (count: number, epoch: number | null) =>
  Array.from({ length: count }, () => ({ appId: random.uuid(), epoch }))

const ONE = JSON.parse(encodeReplicaMessage(message({ kind: "moved", nodes: [{ appId: ID, epoch: 7 }] }))) as Record<
  string,
  unknown
>
const changed = (patch: Record<string, unknown>): string => JSON.stringify({ ...ONE, ...patch })
const MANY = { app_id: undefined, epoch: undefined }

describe("messages between replicas", () => {
  it.each([
    ["one node", message({ kind: "commanded", nodes: [{ appId: ID, epoch: 7 }] })],
    ["one node, no epoch", message({ kind: "moved", nodes: [{ appId: ID, epoch: null }] })],
    ["two nodes", message({ kind: "moved", nodes: [...many(1, 3), ...many(1, null)] })],
    ["a full one", message({ kind: "commanded", nodes: many(REPLICA_MESSAGE_NODES, 0) })],
    ["to all", message({ kind: "log" }, "*")],
    ["a question about a lease", message({ kind: "cut_off" }, "*")],
    ["its answer", message({ kind: "reaped" })]
  ])("are read as they were written: %s", (_, sent) =>
    assert.deepStrictEqual(decodeReplicaMessage(encodeReplicaMessage(sent)), sent)
  )

  it("name one node by its members, several by pairs", () => {
    assert.deepInclude(ONE, { v: 1, from: A, to: B, kind: "moved", app_id: ID, epoch: 7 })
    const text = encodeReplicaMessage(
      message({
        kind: "moved",
        nodes: [
          { appId: ID, epoch: 7 },
          { appId: A, epoch: null }
        ]
      })
    )
    assert.deepStrictEqual((JSON.parse(text) as { nodes: unknown }).nodes, [[ID, 7], [A]])
  })

  it("fit with their signature when they are full and all epochs are the longest; more or no nodes are refused", () => {
    const nodes = many(REPLICA_MESSAGE_NODES, Number.MAX_SAFE_INTEGER)
    const text = encodeReplicaMessage(message({ kind: "commanded", nodes }))
    assert.isAtMost(Buffer.byteLength(attachSignature(text, `ed25519:${"A".repeat(88)}`)), REPLICA_MESSAGE_BYTES)
    assert.throws(() => encodeReplicaMessage(message({ kind: "commanded", nodes: [...nodes, ...nodes] })), /1 to 50/)
    assert.throws(() => encodeReplicaMessage(message({ kind: "commanded", nodes: [] })), /1 to 50/)
  })

  it("of a later version's kind are known as such; members that it adds are not looked at", () => {
    assert.deepInclude(decodeReplicaMessage(changed({ kind: "sealed", reason: "x" })), {
      from: A,
      to: B,
      content: null
    })
    assert.deepInclude(decodeReplicaMessage(changed({ hop: 2, path: ["x"] })), {
      content: { kind: "moved", nodes: [{ appId: ID, epoch: 7 }] }
    })
    assert.strictEqual(decodeReplicaMessage(changed({ v: 2 })), "version")
    assert.strictEqual(decodeReplicaMessage('{"v":2}'), "version")
  })

  it.each([
    ["no JSON", "moved"],
    ["no object", "[1]"],
    ["cut off", encodeReplicaMessage(message({ kind: "log" })).slice(0, -9)],
    ["a member twice", JSON.stringify(ONE).replace('"kind"', '"v":1,"kind"')],
    ["too long", changed({ padding: "x".repeat(REPLICA_MESSAGE_BYTES) })],
    ["no version", changed({ v: undefined })],
    ["a version that is none", changed({ v: "1" })],
    ["no sender", changed({ from: undefined })],
    ["a sender that is no boot", changed({ from: "replica-1" })],
    ["no receiver", changed({ to: undefined })],
    ["a receiver that is none", changed({ to: ">" })],
    ["no time", changed({ at: undefined })],
    ["a broken time", changed({ at: 1.5 })],
    ["no nonce", changed({ nonce: undefined })],
    ["a short nonce", changed({ nonce: random.bytes(15).toString("base64") })],
    ["no kind", changed({ kind: undefined })],
    ["a long kind", changed({ kind: "k".repeat(65) })],
    ["no node", changed({ app_id: undefined })],
    ["a node that is none", changed({ app_id: "x" })],
    ["a negative epoch", changed({ epoch: -1 })],
    [
      "pairs beside a node",
      changed({
        nodes: [
          [ID, 1],
          [A, 1]
        ]
      })
    ],
    ["one pair", changed({ ...MANY, nodes: [[ID, 1]] })],
    ["too many pairs", changed({ ...MANY, nodes: Array.from({ length: REPLICA_MESSAGE_NODES + 1 }, () => [ID]) })],
    ["pairs that are none", changed({ ...MANY, nodes: [[ID, 1], ID] })],
    [
      "a pair of three",
      changed({
        ...MANY,
        nodes: [
          [ID, 1],
          [A, 1, 1]
        ]
      })
    ],
    [
      "an epoch that is none",
      changed({
        ...MANY,
        nodes: [
          [ID, 1],
          [A, "1"]
        ]
      })
    ],
    ["pairs that are no list", changed({ ...MANY, nodes: { [ID]: 1 } })]
  ])("are refused: %s", (_, text) => assert.strictEqual(decodeReplicaMessage(text), "malformed"))
})

describe("subjects between replicas", () => {
  it.each([
    [`_trails.replica.${B}.node.${ID}`, { to: B, about: "node", appId: ID }],
    [`_trails.replica.${B}.nodes`, { to: B, about: "nodes", appId: null }],
    [`_trails.replica.${B}.lease`, { to: B, about: "lease", appId: null }],
    ["_trails.log", { to: "*", about: "log", appId: null }],
    ["_trails.lease", { to: "*", about: "lease", appId: null }],
    [`_trails.lease.${B}`, null],
    [`_trails.replica.${B}.lease.${ID}`, null],
    [`_trails.replica.${B}.log`, null],
    ["_trails.log.x", null],
    [`_trails.replica.${B}`, null],
    [`_trails.replica.${B}.node`, null],
    [`_trails.replica.${B}.node.*`, null],
    [`_trails.replica.*.node.${ID}`, null],
    [`_trails.replica.${B}.nodes.${ID}`, null],
    [`_trails.replica.${B}.node.${ID}.x`, null],
    [`trails.replica.${B}.node.${ID}`, null]
  ])("%s", (subject, address) => assert.deepStrictEqual(parseReplicaSubject(subject), address))
})
