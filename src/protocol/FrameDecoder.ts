import { decodeBase64 } from "./Base64.ts"
import { asTraceparent, FieldReader } from "./FieldReader.ts"
import type {
  CapabilitiesFrame,
  ClientFrame,
  ControlResultFrame,
  Decoded,
  DeclareFrame,
  Dialect,
  DisconnectFrame,
  ErrorCode,
  MessageFrame,
  SubscribeFrame
} from "./Frames.ts"
import { scanObject, type ScanFault } from "./JsonScan.ts"
import * as Limits from "./Limits.ts"
import { readCapable, readRegister, readReRegister } from "./RegistrationDecoder.ts"
import { parseUuid } from "./Uuid.ts"

/** Why a text is no frame. `fatal`: it is not JSON at all, the socket has to close (1007). */
export interface FrameProblem {
  readonly code: ErrorCode
  readonly message: string
  readonly appId?: string
  readonly seq?: number
  readonly fatal: boolean
}

export const isFrameProblem = (value: object): value is FrameProblem => "fatal" in value

const FAULTS: Readonly<Record<ScanFault, string>> = {
  syntax: "the frame must be one JSON object",
  depth: `the frame nests deeper than ${Limits.DEPTH} levels`,
  duplicate: "the frame names a member twice",
  members: `the frame has more than ${Limits.MEMBERS} members`,
  escape: "the frame writes a member's name with escapes"
}

const problem = (message: string, appId?: string, seq?: number): FrameProblem => ({
  code: "bad_frame",
  message,
  ...(appId === undefined ? {} : { appId }),
  ...(seq === undefined ? {} : { seq }),
  fatal: false
})

/** JSON.parse, or undefined. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/**
 * The fault of a text that was refused by the scan or is no object: JSON or not decides whether the socket closes. The
 * scan stops at the first fault, so that what follows a duplicate or a depth may still be no JSON.
 */
export const refuseText = (text: string, fault: ScanFault): FrameProblem =>
  parseJson(text) === undefined
    ? { code: "bad_frame", message: "the message is not JSON", fatal: true }
    : problem(FAULTS[fault])

/**
 * The node that a frame speaks for, before anything else in it is believed (PROTOCOL §3): its key verifies the frame.
 * Null when there is none; `decodeClientFrame` then says what is wrong.
 */
export const peekAppId = (text: string): string | null => {
  const scan = scanObject(text, 0, text.length, 1, "app_id")
  if (typeof scan === "string") return null
  const last = scan.keys.length - 1
  if (scan.keys[last] !== "app_id") return null
  const start = scan.starts[last]!
  if (scan.ends[last]! - start !== 38 || text[start] !== '"') return null
  return parseUuid(text.slice(start + 1, start + 37))
}

const HEADER_PATH = "header."
const MSG_TYPES = ["Status", "Result", "Error"] as const

const readIncarnation = (reader: FieldReader, dialect: Dialect): { readonly incarnation?: number } =>
  dialect === "v1" ? { incarnation: reader.integer("incarnation", 1) } : {}

const readMessage = (text: string, reader: FieldReader, dialect: Dialect): MessageFrame | null => {
  const app_id = reader.uuid("app_id", dialect === "legacy")
  const headerText = reader.slice("header")
  const scan = headerText === null ? "syntax" : scanObject(headerText, 0, headerText.length, 2)
  if (typeof scan === "string") {
    reader.fail("header", scan === "duplicate" ? "an object that names no member twice" : "an object")
    return null
  }
  const header = new FieldReader(headerText!, scan, reader.raw("header"), HEADER_PATH)
  const msg_type = header.oneOf("msg_type", MSG_TYPES)
  const timestamp = header.integer("timestamp", Number.MIN_SAFE_INTEGER)
  const seq = header.integer("seq", 1)
  const correlation_id = header.optionalString("correlation_id", Limits.CORRELATION_ID) ?? null
  const traceparent = asTraceparent(header.raw("traceparent"))
  reader.problem ??= header.problem
  const start_day = dialect === "v1" ? reader.integer("start_day", Number.MIN_SAFE_INTEGER) : undefined
  const incarnation = dialect === "v1" ? reader.integer("incarnation", 1) : undefined
  const bytes = reader.raw("bytes")
  if (bytes !== undefined && (typeof bytes !== "string" || decodeBase64(bytes) === null)) {
    reader.fail("bytes", "strict base64")
  }
  if (dialect === "v1" && bytes === undefined && !reader.has("payload")) reader.fail("payload", "there, or else bytes")
  return {
    type: "message",
    app_id,
    header:
      traceparent === null
        ? { msg_type, timestamp, seq, correlation_id }
        : { msg_type, timestamp, seq, correlation_id, traceparent },
    ...(bytes === undefined ? {} : { bytes: bytes as string }),
    ...(incarnation === undefined ? {} : { incarnation }),
    ...(start_day === undefined ? {} : { start_day })
  }
}

const readDisconnect = (reader: FieldReader, dialect: Dialect): DisconnectFrame => ({
  type: "disconnect",
  app_id: reader.uuid("app_id", dialect === "legacy"),
  reason: reader.string("reason", Limits.REASON),
  ...(dialect === "v1" ? { seq: reader.integer("seq", 1) } : {}),
  ...readIncarnation(reader, dialect)
})

const readControlResult = (reader: FieldReader): ControlResultFrame => {
  const ack = reader.raw("ack")
  if (typeof ack !== "boolean") reader.fail("ack", "true or false")
  return {
    type: "control_result",
    app_id: reader.uuid("app_id"),
    ...readIncarnation(reader, "v1"),
    correlation_id: reader.string("correlation_id", Limits.CORRELATION_ID),
    ack: ack === true,
    ...(ack === false ? { error: reader.string("error", Limits.REASON) } : {})
  }
}

const readDeclare = (reader: FieldReader): DeclareFrame => {
  const replaces = reader.optionalUuid("replaces")
  return {
    type: "declare",
    app_id: reader.uuid("app_id"),
    ...readIncarnation(reader, "v1"),
    info: reader.string("info", Limits.INFO),
    ...(replaces === undefined ? {} : { replaces })
  }
}

const readSubscribe = (reader: FieldReader): SubscribeFrame => {
  const from = reader.optionalString("from", Limits.CURSOR)
  return {
    type: "subscribe",
    app_id: reader.uuid("app_id"),
    ...readIncarnation(reader, "v1"),
    scope: reader.oneOf("scope", ["children", "subtree"]),
    ...(from === undefined ? {} : { from })
  }
}

const readCapabilities = (reader: FieldReader): CapabilitiesFrame => ({
  type: "capabilities",
  app_id: reader.uuid("app_id"),
  ...readIncarnation(reader, "v1"),
  ...readCapable(reader)
})

const LEGACY_TYPES = ["register", "re_register", "message", "disconnect"]

const readFrame = (text: string, type: unknown, reader: FieldReader, dialect: Dialect): ClientFrame | null => {
  switch (dialect === "v1" || LEGACY_TYPES.includes(type as string) ? type : undefined) {
    case "message":
      return readMessage(text, reader, dialect)
    case "register":
      return readRegister(reader, dialect)
    case "re_register":
      return readReRegister(reader, dialect)
    case "disconnect":
      return readDisconnect(reader, dialect)
    case "control_result":
      return readControlResult(reader)
    case "declare":
      return readDeclare(reader)
    case "subscribe":
      return readSubscribe(reader)
    case "capabilities":
      return readCapabilities(reader)
    default:
      reader.problem =
        dialect === "legacy"
          ? `a client without the subprotocol trails.v1 may send ${LEGACY_TYPES.join(", ")}; this is another type`
          : "type is not one that this server knows: see the table of client frames in docs/protocol.md"
      return null
  }
}

/**
 * The frame in `text`, or why it is none. `bytes` is the size of the message that it came in. The signature is not
 * looked at here (`SignedFrame.splitSigned`), and neither is what depends on a node's state.
 */
export const decodeClientFrame = (text: string, bytes: number, dialect: Dialect): Decoded | FrameProblem => {
  const scan = scanObject(text)
  if (typeof scan === "string") return refuseText(text, scan)
  const value = parseJson(text) as Readonly<Record<string, unknown>> | undefined
  if (value === undefined) return refuseText(text, "syntax")
  const reader = new FieldReader(text, scan, value)
  const type = value["type"]
  const frame = readFrame(text, type, reader, dialect)
  const sig = value["sig"]
  if (dialect === "v1" && sig !== null && typeof sig !== "string") {
    reader.fail("sig", "the last member: a signature, or null in level open")
  }
  // `peekAppId` takes no other form, and both must name the same node.
  if (reader.slice("app_id")?.length !== 38) reader.fail("app_id", "a UUID, written without escapes")
  if (frame === null || reader.problem !== null) return refuseFrame(reader.problem ?? "the frame is malformed", value)
  const payload =
    type === "message" ? reader.slice("payload") : type === "control_result" ? reader.slice("result") : null
  return { frame, raw: text, bytes, payload }
}

/** Names the node and the seq that the refusal is about, as far as they can be read. */
const refuseFrame = (message: string, value: Readonly<Record<string, unknown>>): FrameProblem => {
  const appId = value["app_id"]
  const header = value["header"]
  const seq = typeof header === "object" && header !== null ? (header as { readonly seq?: unknown }).seq : value["seq"]
  return problem(
    message,
    (typeof appId === "string" ? parseUuid(appId) : null) ?? undefined,
    typeof seq === "number" && Number.isSafeInteger(seq) && seq > 0 ? seq : undefined
  )
}
