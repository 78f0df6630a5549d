import type { GoodFrameVector } from "./FrameVector.ts"
import { Seeded } from "./Seeded.ts"
import { keyText } from "./Signer.ts"

const random = new Seeded("frames")
export const APP = random.uuid()
export const PARENT = random.uuid()
export const CHILD = random.uuid()
export const SESSION = random.uuid()
export const KEY = keyText(random.bytes(32))
export const SERVER_KEY = keyText(random.bytes(32))
export const NONCE = random.bytes(32).toString("base64")
export const CLIENT_NONCE = random.bytes(32).toString("base64")

export const PROCESS = {
  pid: 4711,
  ppid: 1,
  uid: 1000,
  gid: 1000,
  hostname: "worker-7",
  start_time: 1790000000000,
  executable: "/usr/bin/python3"
}

export const REGISTER = {
  type: "register",
  nonce: NONCE,
  client_nonce: CLIENT_NONCE,
  server_key: SERVER_KEY,
  app_id: APP,
  parent_id: PARENT,
  app_name: "etl-step",
  child_pub_key: KEY,
  process_info: PROCESS,
  role_refs: ["sre"],
  start_day: 628,
  info: "e30="
}

export const RE_REGISTER = {
  type: "re_register",
  nonce: NONCE,
  client_nonce: CLIENT_NONCE,
  server_key: SERVER_KEY,
  app_id: APP,
  incarnation: 3,
  last_seq: 17,
  pub_key: KEY
}

export const HEADER = { msg_type: "Status", timestamp: 1790000000123, seq: 1, correlation_id: null }
export const MESSAGE = { type: "message", app_id: APP, incarnation: 1, start_day: 628, header: HEADER }
export const DISCONNECT = { type: "disconnect", app_id: APP, incarnation: 1, seq: 9, reason: "completed" }

/** The frame's text with the application's member and `sig: null`. */
export const textOf = (frame: object, member = "", value = ""): string =>
  `${JSON.stringify(frame).slice(0, -1)}${member === "" ? "" : `,"${member}":${value}`},"sig":null}`

const v1 = (name: string, frame: object, payload: string | null = null, text?: string): GoodFrameVector => ({
  name,
  dialect: "v1",
  text: text ?? (payload === null ? textOf(frame) : textOf(frame, "payload", payload)),
  ok: true,
  frame: frame as Readonly<Record<string, unknown>>,
  payload
})

const legacy = (name: string, text: string, frame: object, payload: string | null = null): GoodFrameVector => ({
  name,
  dialect: "legacy",
  text,
  ok: true,
  frame: frame as Readonly<Record<string, unknown>>,
  payload
})

/** What an application may send: stored as it is written, whatever a parser would make of it. */
const PAYLOADS: ReadonlyArray<readonly [string, string]> = [
  ["null", "null"],
  ["a string", '"\\u00e9 é \\ud83d\\ude00 😀"'],
  ["64-bit integers", '{"id":9223372036854775807,"neg":-9223372036854775808}'],
  ["numbers that no float holds", "[1e400000,0.1000000000000000055511151231257827,1E+2,-0]"],
  ["white space inside", '{ "a" :\t[ 1 , 2 ]\n}'],
  ["U+0000 and a lone surrogate", '{"nul":"\\u0000","lone":"\\ud800"}'],
  ["a member twice", '{"a":1,"a":2}'],
  ["braces and quotes in strings", '{"k\\"}":"]}{[\\\\","sig":"ed25519:"}'],
  ["a value that looks like a frame", '{"type":"register","app_id":"x","payload":{"payload":1}}'],
  ["as deep as it may be", `${"[".repeat(31)}${"]".repeat(31)}`]
]

const v1Frames = (): ReadonlyArray<GoodFrameVector> => [
  v1("register", REGISTER),
  v1("register, root with everything", {
    ...REGISTER,
    parent_id: null,
    process_info: { ...PROCESS, user: "etl", node_name: "n1", pod_ip: "10.0.0.7", namespace: "jobs" },
    capabilities: ["cancel", "reconfig"],
    ping_interval_ms: 10000
  }),
  v1(
    "register in level open: no pinned key, optional members null",
    {
      ...Object.fromEntries(Object.entries(REGISTER).filter(([key]) => key !== "server_key" && key !== "info"))
    },
    null,
    textOf({ ...REGISTER, server_key: null, info: null, ping_interval_ms: null })
  ),
  v1("re_register", RE_REGISTER),
  v1("re_register that has no message yet", { ...RE_REGISTER, last_seq: 0 }),
  ...PAYLOADS.map(([name, payload]) => v1(`Status with ${name}`, MESSAGE, payload)),
  v1(
    "Result",
    { ...MESSAGE, header: { ...HEADER, msg_type: "Result", seq: 9007199254740991, correlation_id: "c-1" } },
    "{}"
  ),
  v1("Error", { ...MESSAGE, header: { ...HEADER, msg_type: "Error", seq: 2 } }, '{"message":"no disk"}'),
  v1("Status of bytes only", { ...MESSAGE, bytes: "AAEC/w==" }),
  v1(
    "trace context",
    { ...MESSAGE, header: { ...HEADER, traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" } },
    "1"
  ),
  v1(
    "a trace context that is none is as if absent",
    MESSAGE,
    "1",
    textOf({ ...MESSAGE, header: { ...HEADER, traceparent: "00-xyz" } }, "payload", "1")
  ),
  v1(
    "unknown members are ignored",
    MESSAGE,
    "1",
    textOf({ ...MESSAGE, future: { a: [1] }, header: { ...HEADER, colour: "red" } }, "payload", "1")
  ),
  v1(
    "white space around everything",
    MESSAGE,
    "[1, 2]",
    ` \n${JSON.stringify(MESSAGE, null, 2).slice(0, -1)} , "payload" : [1, 2]\t,\r\n "sig" : null } \n`
  ),
  v1("disconnect", DISCONNECT),
  v1("disconnect for a reason of its own", { ...DISCONNECT, reason: "Feierabend ☕" }),
  v1(
    "control_result",
    { type: "control_result", app_id: APP, incarnation: 1, correlation_id: "c-1", ack: true },
    '{"applied":9007199254740993}',
    textOf(
      { type: "control_result", app_id: APP, incarnation: 1, correlation_id: "c-1", ack: true },
      "result",
      '{"applied":9007199254740993}'
    )
  ),
  v1("control_result that declines", {
    type: "control_result",
    app_id: APP,
    incarnation: 1,
    correlation_id: "c-1",
    ack: false,
    error: "unknown_action"
  }),
  v1("declare", { type: "declare", app_id: APP, incarnation: 1, info: "e30=" }),
  v1("declare a replacement", { type: "declare", app_id: APP, incarnation: 1, info: "e30=", replaces: CHILD }),
  v1("subscribe", { type: "subscribe", app_id: APP, incarnation: 1, scope: "subtree", from: "1042" })
]

const legacyFrames = (): ReadonlyArray<GoodFrameVector> => {
  const register = {
    type: "register",
    app_id: APP,
    parent_id: null,
    app_name: "my-task",
    child_pub_key: "ed25519:no-nacl-installed",
    process_info: { ...PROCESS, node_name: null, pod_ip: null, namespace: null },
    role_refs: [],
    sig: null
  }
  return [
    legacy("register, key is opaque", JSON.stringify(register), {
      type: "register",
      app_id: APP,
      parent_id: null,
      child_pub_key: "ed25519:no-nacl-installed",
      process_info: PROCESS,
      role_refs: []
    }),
    legacy(
      "register, what the platform does not tell is null or absent",
      JSON.stringify({
        ...register,
        role_refs: null,
        process_info: { pid: 5, start_time: null, executable: null, hostname: "h" }
      }),
      {
        type: "register",
        process_info: { pid: 5, ppid: 0, uid: 0, gid: 0, hostname: "h", start_time: null, executable: null },
        role_refs: []
      }
    ),
    legacy(
      "register, ids in upper case",
      JSON.stringify({ ...register, app_id: APP.toUpperCase(), parent_id: PARENT.toUpperCase() }),
      { app_id: APP, parent_id: PARENT }
    ),
    legacy(
      "re_register",
      JSON.stringify({ type: "re_register", app_id: APP, last_seq: 0, pub_key: "opaque", sig: null }),
      { type: "re_register", app_id: APP, last_seq: 0, pub_key: "opaque" }
    ),
    legacy(
      "Status with spaces after separators",
      `{"type": "message", "app_id": "${APP}", "header": {"msg_type": "Status", "timestamp": 1790000000123, "seq": 1, "correlation_id": null}, "payload": {"phase": "processing", "progress": 0.5}, "sig": null}`,
      MESSAGE_OF_LEGACY,
      '{"phase": "processing", "progress": 0.5}'
    ),
    legacy(
      "Status without sig",
      JSON.stringify({ type: "message", app_id: APP, header: HEADER, payload: 1 }),
      MESSAGE_OF_LEGACY,
      "1"
    ),
    legacy("disconnect", JSON.stringify({ type: "disconnect", app_id: APP, reason: "completed" }), {
      type: "disconnect",
      app_id: APP,
      reason: "completed"
    })
  ]
}

const MESSAGE_OF_LEGACY = { type: "message", app_id: APP, header: HEADER }

export const clientFrames = (): ReadonlyArray<GoodFrameVector> => [...v1Frames(), ...legacyFrames()]
