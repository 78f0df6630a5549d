import { seal } from "../harness/Keypair.ts"
import type { Random } from "../harness/Random.ts"
import type { RawNode } from "../harness/RawNode.ts"

/** One thing that no client should send. */
export interface Malformed {
  readonly kind: string
  readonly data: string | Buffer
  readonly binary?: boolean
  /** Not JSON at all, or too large: it must close the socket (PROTOCOL §3). Anything else must not. */
  readonly closes: boolean
}

type Make = (random: Random, node: RawNode) => Malformed

const UNSIGNED = ',"sig":null}'
const UUID = "00000000-0000-4000-8000-000000000000"
const BAD_IDS = [
  "",
  "x",
  UUID.slice(1),
  `${UUID}0`,
  UUID.replace(/-/g, ""),
  `{${UUID}}`,
  "a'; DROP TABLE nodes; --",
  "../../etc/passwd"
]
const WRONG: ReadonlyArray<unknown> = [
  null,
  true,
  1.5,
  1e300,
  2 ** 60,
  "",
  "1",
  [],
  {},
  [[]],
  { a: 1 },
  "\u0000",
  "\ud800",
  "NaN",
  Number.MAX_SAFE_INTEGER + 2
]

const message = (node: RawNode, over: Record<string, unknown> = {}, header: Record<string, unknown> = {}) => ({
  type: "message",
  app_id: node.appId,
  incarnation: node.incarnation,
  start_day: 1,
  header: { msg_type: "Status", timestamp: 1, seq: 1_000_000, correlation_id: null, ...header },
  payload: 1,
  ...over
})

const text = (kind: string, data: string, closes = false): Malformed => ({ kind, data, closes })
const json = (kind: string, value: unknown, closes = false): Malformed => text(kind, JSON.stringify(value), closes)

const without = (frame: Record<string, unknown>, member: string): Record<string, unknown> => {
  const { [member]: _, ...rest } = frame
  return rest
}

export const SIGNATURE_KIND = "bad signature member"

/** PROTOCOL §3: what a peer may try before or after a registration of its own. */
const kinds: ReadonlyArray<Make> = [
  (random) =>
    text(
      "not JSON",
      random.pick(["", " ", "hello", "{", "}", "[1,", "{'a':1}", '{"a":}', "\u0000", "nul", "{]"]),
      true
    ),
  (random, node) => {
    const whole = JSON.stringify(message(node))
    return text("cut off", whole.slice(0, 1 + random.int(whole.length - 1)), true)
  },
  (random, node) =>
    text("trailing text", `${JSON.stringify(message(node))}${random.pick(["x", "{}", ",", "]"])}`, true),
  (random) => json("not an object", random.pick<unknown>([null, 1, "register", [], [{ type: "register" }], true])),
  (random) =>
    json("unknown type", {
      type: random.pick(["", "hello", "ack", "registered", "REGISTER", "x".repeat(1000)]),
      app_id: UUID
    }),
  (random) => json("type of a wrong type", { type: random.pick(WRONG), app_id: UUID }),
  (random, node) =>
    json(
      "member missing",
      without(message(node, { sig: null }), random.pick(["type", "app_id", "incarnation", "header", "start_day"]))
    ),
  (random, node) =>
    json(
      "member of a wrong type",
      message(node, {
        [random.pick(["app_id", "incarnation", "header", "start_day", "bytes"])]: random.pick(
          WRONG.filter((w) => w !== null && w !== "")
        ),
        sig: null
      })
    ),
  (random, node) =>
    json(
      "header member of a wrong type",
      message(node, { sig: null }, { [random.pick(["msg_type", "seq", "timestamp"])]: random.pick(WRONG) })
    ),
  (random, node) => json("bad id", message(node, { app_id: random.pick(BAD_IDS), sig: null })),
  (random, node) =>
    json(
      "unknown enumeration",
      message(node, { sig: null }, { msg_type: random.pick(["status", "Control", "", "Done"]) })
    ),
  (random, node) =>
    json(
      "seq out of range",
      message(node, { sig: null }, { seq: random.pick<unknown>([0, -5, 2 ** 53 + 2, 0.5, "7"]) })
    ),
  (random, node) =>
    json("another incarnation", message(node, { incarnation: node.incarnation + 1 + random.int(9), sig: null })),
  (random, node) => json("not my node", message(node, { app_id: random.uuid(), sig: null })),
  (_, node) =>
    text(
      "same member twice",
      JSON.stringify(message(node)).replace("{", `{"app_id":"${UUID}",`).replace(/\}$/, ',"sig":null}')
    ),
  (random, node) => {
    const depth = random.pick([33, 40, 200, 5000])
    const nested = "[".repeat(depth) + "]".repeat(depth)
    return text(
      "too deep",
      JSON.stringify(message(node)).replace('"payload":1', `"payload":${nested}`).replace(/\}$/, ',"sig":null}')
    )
  },
  (random, node) =>
    json("bad base64", message(node, { bytes: random.pick(["*", "a", "aGk", "aGk=\n", "aGl="]), sig: null })),
  (random, node) =>
    json(
      "bad strings",
      message(node, { sig: null }, { correlation_id: random.pick(["\u0000", "\ud800", "x".repeat(5000)]) })
    ),
  (random, node) =>
    json(
      SIGNATURE_KIND,
      message(node, { sig: random.pick<unknown>([1, "x", "ed25519:", `ed25519:${"A".repeat(88)}`, {}, []]) })
    ),
  (random) =>
    json("bad register", {
      type: "register",
      nonce: random.bytes(32).toString("base64"),
      client_nonce: "x",
      server_key: "ed25519:AA==",
      app_id: random.uuid(),
      parent_id: null,
      app_name: "x".repeat(random.pick([1, 5000])),
      child_pub_key: `ed25519:${Buffer.alloc(32).toString("base64")}`,
      process_info: random.pick(WRONG),
      role_refs: random.pick(WRONG),
      start_day: -1,
      info: random.pick(["", "*", "e30="]),
      sig: null
    }),
  (random) =>
    json("bad re_register", {
      type: "re_register",
      nonce: random.bytes(32).toString("base64"),
      client_nonce: random.bytes(32).toString("base64"),
      server_key: "",
      app_id: random.uuid(),
      incarnation: random.pick(WRONG),
      last_seq: random.pick(WRONG),
      pub_key: "ed25519:AA==",
      sig: null
    }),
  (random, node) =>
    json("bad declare", {
      type: "declare",
      app_id: node.appId,
      incarnation: node.incarnation,
      info: random.pick(["", "*", "e30=", Buffer.from('{"v":2}').toString("base64")]),
      sig: null
    }),
  (_, node) => json("too large", message(node, { payload: "x".repeat(1_100_000), sig: null }), true),
  (random) => ({ kind: "binary", data: random.bytes(1 + random.int(200)), binary: true, closes: true }),
  (random, node) => ({
    kind: "not UTF-8",
    data: Buffer.concat([
      Buffer.from(JSON.stringify(message(node)).slice(0, -2)),
      Buffer.from([0xc3, 0x28, 0xff - random.int(8)]),
      Buffer.from('"}')
    ]),
    closes: true
  }),
  (random) =>
    text(
      "proto pollution",
      `{"__proto__":{"type":"register"},"constructor":1,"type":${JSON.stringify(random.pick(["__proto__", "toString", "constructor"]))}}`
    ),
  (random) =>
    text(
      "numbers of every size",
      `{"type":"message","app_id":"${UUID}","header":{"seq":${random.pick(["1e400", "-0", "9".repeat(400), "1E+2"])}},"sig":null}`
    )
]

export const kindCount = kinds.length

/**
 * Every kind in turn, details seeded. For a node above `open` half of the frames are signed: what is wrong with them must
 * be found behind the signature's check, too.
 */
export const malformed = (index: number, random: Random, node: RawNode): Malformed => {
  const made = kinds[index % kinds.length]!(random, node)
  const { data } = made
  if (node.level === "open" || typeof data !== "string" || !data.endsWith(UNSIGNED) || random.int(2) === 0) return made
  return { ...made, data: seal("trails.v1.child", `${data.slice(0, -UNSIGNED.length)}}`, node.keys.secretKey) }
}
