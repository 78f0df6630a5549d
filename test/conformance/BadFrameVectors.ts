import { APP, DISCONNECT, HEADER, MESSAGE, PROCESS, REGISTER, RE_REGISTER, textOf } from "./FrameExamples.ts"
import type { BadFrameVector } from "./FrameVector.ts"
import { smallOrderEncodings } from "./Forge.ts"

type Named = readonly [name: string, text: string]

const without = (frame: object, member: string): object =>
  Object.fromEntries(Object.entries(frame).filter(([key]) => key !== member))

const message = (frame: object): string => textOf(frame, "payload", "1")
const withHeader = (header: object): string => message({ ...MESSAGE, header: { ...HEADER, ...header } })
/** A number as it is written, not as a JavaScript number prints. */
const seqWritten = (digits: string): string => withHeader({ seq: "@" }).replace('"@"', digits)

const notJson: ReadonlyArray<Named> = [
  ["empty", ""],
  ["white space", " \n"],
  ["a word", "hello"],
  ["cut off", message(MESSAGE).slice(0, -1)],
  ["cut off in a string", '{"type":"mess'],
  ["cut off in an escape", '{"type":"a\\'],
  ["two frames", message(MESSAGE).repeat(2)],
  ["text behind the frame", `${message(MESSAGE)};`],
  ["trailing comma", message(MESSAGE).replace(/}$/, ",}")],
  ["comment", message(MESSAGE).replace(/}$/, "/**/}")],
  ["single quotes", "{'type':'message'}"],
  ["unquoted member", '{type:"message"}'],
  ["byte order mark", `\ufeff${message(MESSAGE)}`],
  ["NaN in the payload", textOf(MESSAGE, "payload", "NaN")],
  ["leading zero", textOf(MESSAGE, "payload", "01")],
  ["line feed in a string", textOf(MESSAGE, "payload", '"a\nb"')],
  ["brackets of two kinds", textOf(MESSAGE, "payload", "[1}")],
  ["empty value", textOf(MESSAGE, "payload", "")],
  ["wrong escape in a member name", `{"\\x":1,"sig":null}`]
]

const malformed: ReadonlyArray<Named> = [
  ["a number", "3"],
  ["null", "null"],
  ["a string", '"message"'],
  ["an array", "[1,2]"],
  ["no members", "{}"],
  ["no type", textOf(without(MESSAGE, "type"), "payload", "1")],
  ["unknown type", message({ ...MESSAGE, type: "massage" })],
  ["type is not a string", message({ ...MESSAGE, type: ["message"] })],
  ["type of a server frame", textOf({ type: "ack", app_id: APP, incarnation: 1, seq: 1 })],
  ["payload twice", `${message(MESSAGE).slice(0, -1)},"payload":2}`],
  ["sig twice", `${message(MESSAGE).slice(0, -1)},"sig":null}`],
  ["a member's name with escapes", message(MESSAGE).replace("payload", "p\\u0061yload")],
  ["a name of the header with escapes", message(MESSAGE).replace('"seq"', '"se\\u0071"')],
  ["an unknown name with escapes", textOf({ ...MESSAGE, 'a"b': 1 }, "payload", "1")],
  ["app_id twice, once with escapes", `${message(MESSAGE).slice(0, -1)},"app\\u005fid":"${APP}"}`],
  ["seq twice", message(MESSAGE).replace('"seq":1', '"seq":1,"seq":2')],
  ["process_info.pid twice", textOf(REGISTER).replace('"pid":4711', '"pid":4711,"pid":1')],
  ["one level too deep", textOf(MESSAGE, "payload", `${"[".repeat(32)}${"]".repeat(32)}`)],
  ["very deep", textOf(MESSAGE, "payload", `${"[".repeat(2000)}${"]".repeat(2000)}`)],
  [
    "too many members",
    textOf({ ...MESSAGE, ...Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`m${index}`, 0])) })
  ],
  ["app_id missing", textOf(without(MESSAGE, "app_id"), "payload", "1")],
  ["app_id is a number", message({ ...MESSAGE, app_id: 7 })],
  ["app_id in upper case", message({ ...MESSAGE, app_id: APP.toUpperCase() })],
  ["app_id without hyphens", message({ ...MESSAGE, app_id: APP.replaceAll("-", "") })],
  ["text behind the app_id", message({ ...MESSAGE, app_id: `${APP}x` })],
  ["app_id in braces", message({ ...MESSAGE, app_id: `{${APP}}` })],
  [
    "app_id written with escapes",
    message(MESSAGE).replace(APP, `\\u00${APP.charCodeAt(0).toString(16)}${APP.slice(1)}`)
  ],
  ["header missing", textOf(without(MESSAGE, "header"), "payload", "1")],
  ["header is an array", message({ ...MESSAGE, header: [] })],
  ["header is null", message({ ...MESSAGE, header: null })],
  ["unknown msg_type", withHeader({ msg_type: "status" })],
  ["msg_type Control is not a child's", withHeader({ msg_type: "Control" })],
  ["seq 0", withHeader({ seq: 0 })],
  ["seq negative", withHeader({ seq: -1 })],
  ["seq a string", withHeader({ seq: "1" })],
  ["seq a fraction", seqWritten("1.5")],
  ["seq with a point", seqWritten("1.0")],
  ["seq with an exponent", seqWritten("1e3")],
  ["seq that rounds to an integer", seqWritten("1.00000000000000000001")],
  ["seq 2^53", seqWritten("9007199254740992")],
  ["seq beyond 2^53 that rounds", seqWritten("9007199254740993")],
  ["seq missing", message({ ...MESSAGE, header: without(HEADER, "seq") })],
  ["timestamp a date", withHeader({ timestamp: "2026-09-21T12:00:00Z" })],
  ["timestamp a fraction", withHeader({ timestamp: 1790000000.5 })],
  ["correlation_id a number", withHeader({ correlation_id: 5 })],
  ["correlation_id with U+0000", withHeader({ correlation_id: "a\0b" })],
  ["correlation_id with half a surrogate pair", withHeader({ correlation_id: "\ud800" })],
  ["correlation_id too long", withHeader({ correlation_id: "x".repeat(257) })],
  ["correlation_id too long in UTF-8", withHeader({ correlation_id: "é".repeat(129) })],
  ["incarnation missing", textOf(without(MESSAGE, "incarnation"), "payload", "1")],
  ["incarnation 0", message({ ...MESSAGE, incarnation: 0 })],
  ["start_day missing", textOf(without(MESSAGE, "start_day"), "payload", "1")],
  ["neither payload nor bytes", textOf(MESSAGE)],
  ["bytes without padding", textOf({ ...MESSAGE, bytes: "AAEC/w" })],
  ["bytes of another alphabet", textOf({ ...MESSAGE, bytes: "_-__" })],
  ["sig missing", message(MESSAGE).replace(',"sig":null}', "}")],
  ["sig a number", message(MESSAGE).replace('"sig":null', '"sig":1')],
  ["nonce missing", textOf(without(REGISTER, "nonce"))],
  ["nonce of 31 bytes", textOf({ ...REGISTER, nonce: Buffer.alloc(31).toString("base64") })],
  ["client_nonce missing", textOf(without(REGISTER, "client_nonce"))],
  ["key without prefix", textOf({ ...REGISTER, child_pub_key: REGISTER.child_pub_key.slice(8) })],
  ["key of 31 bytes", textOf({ ...REGISTER, child_pub_key: `ed25519:${Buffer.alloc(31, 1).toString("base64")}` })],
  ...smallOrderEncodings().map((bytes): Named => [
    `key of small order ${bytes.toString("hex")}`,
    textOf({ ...REGISTER, child_pub_key: `ed25519:${bytes.toString("base64")}` })
  ]),
  ["server_key malformed", textOf({ ...REGISTER, server_key: "mine" })],
  ["app_name too long", textOf({ ...REGISTER, app_name: "n".repeat(257) })],
  ["app_name missing", textOf(without(REGISTER, "app_name"))],
  ["process_info missing", textOf(without(REGISTER, "process_info"))],
  ["pid missing", textOf({ ...REGISTER, process_info: without(PROCESS, "pid") })],
  ["hostname missing", textOf({ ...REGISTER, process_info: without(PROCESS, "hostname") })],
  ["executable is null", textOf({ ...REGISTER, process_info: { ...PROCESS, executable: null } })],
  ["uid negative", textOf({ ...REGISTER, process_info: { ...PROCESS, uid: -1 } })],
  ["role_refs a string", textOf({ ...REGISTER, role_refs: "sre" })],
  ["too many role_refs", textOf({ ...REGISTER, role_refs: Array.from({ length: 65 }, () => "r") })],
  ["role_refs of numbers", textOf({ ...REGISTER, role_refs: [1] })],
  ["ping_interval_ms negative", textOf({ ...REGISTER, ping_interval_ms: -1 })],
  ["last_seq missing", textOf(without(RE_REGISTER, "last_seq"))],
  ["last_seq negative", textOf({ ...RE_REGISTER, last_seq: -1 })],
  ["pub_key missing", textOf(without(RE_REGISTER, "pub_key"))],
  ["re_register without incarnation", textOf(without(RE_REGISTER, "incarnation"))],
  ["disconnect without seq", textOf(without(DISCONNECT, "seq"))],
  ["disconnect without reason", textOf(without(DISCONNECT, "reason"))],
  ["control_result without ack", textOf({ type: "control_result", app_id: APP, incarnation: 1, correlation_id: "c" })],
  [
    "control_result that declines without error",
    textOf({ type: "control_result", app_id: APP, incarnation: 1, correlation_id: "c", ack: false })
  ],
  ["declare without info", textOf({ type: "declare", app_id: APP, incarnation: 1 })],
  [
    "declare that replaces no id",
    textOf({ type: "declare", app_id: APP, incarnation: 1, info: "e30=", replaces: "it" })
  ],
  ["subscribe to nothing known", textOf({ type: "subscribe", app_id: APP, incarnation: 1, scope: "all" })]
]

const legacyMalformed: ReadonlyArray<Named> = [
  ["a frame of version 1 only", textOf({ type: "declare", app_id: APP, incarnation: 1, info: "e30=" })],
  [
    "key too long",
    JSON.stringify({ type: "re_register", app_id: APP, last_seq: 0, pub_key: "k".repeat(257), sig: null })
  ],
  [
    "seq missing",
    JSON.stringify({ type: "message", app_id: APP, header: without(HEADER, "seq"), payload: 1, sig: null })
  ],
  ["app_id is no UUID", JSON.stringify({ type: "disconnect", app_id: "my-task", reason: "completed" })],
  ["payload twice", `{"type":"message","app_id":"${APP}","header":${JSON.stringify(HEADER)},"payload":1,"payload":2}`]
]

const vector =
  (dialect: "v1" | "legacy", fatal: boolean) =>
  ([name, text]: Named): BadFrameVector => ({
    name,
    dialect,
    text,
    ok: false,
    code: "bad_frame",
    fatal
  })

/** A refusal names the node and the seq when they can be read. */
const named: ReadonlyArray<BadFrameVector> = [
  { ...vector("v1", false)(["names node and seq", message({ ...MESSAGE, incarnation: "1" })]), app_id: APP, seq: 1 },
  {
    ...vector("v1", false)(["names node and seq of a disconnect", textOf({ ...DISCONNECT, reason: 5 })]),
    app_id: APP,
    seq: 9
  },
  { ...vector("v1", false)(["names the node only", textOf({ ...REGISTER, app_name: 5 })]), app_id: APP }
]

export const badFrames = (): ReadonlyArray<BadFrameVector> => [
  ...notJson.map(vector("v1", true)),
  ...malformed.map(vector("v1", false)),
  ...legacyMalformed.map(vector("legacy", false)),
  ...named
]
