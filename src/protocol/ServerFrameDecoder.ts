import { FieldReader } from "./FieldReader.ts"
import { parseJson, refuseText, type FrameProblem } from "./FrameDecoder.ts"
import type {
  AckFrame,
  ControlFrame,
  DeclaredFrame,
  ErrorCode,
  ErrorFrame,
  EventFrame,
  HelloFrame,
  Limits,
  RegisteredFrame,
  ServerFrame
} from "./Frames.ts"
import { scanObject } from "./JsonScan.ts"
import { LEVELS } from "./Level.ts"
import * as Bounds from "./Limits.ts"
import { readTreeEvent, type TreeEvent } from "./TreeEvent.ts"

/** A server frame with the bytes that it came in. */
export interface DecodedServerFrame {
  readonly frame: ServerFrame
  readonly raw: string
  /** The exact slice of `control.payload` or `event.event`. */
  readonly payload: string | null
}

const CODES: ReadonlyArray<ErrorCode> = [
  "bad_frame",
  "too_large",
  "bad_signature",
  "not_registered",
  "registration_failed",
  "key_mismatch",
  "ticket_invalid",
  "deadline_passed",
  "parent_sealed",
  "level_too_weak",
  "seq_conflict",
  "superseded",
  "terminal",
  "replaced",
  "going_away",
  "overloaded",
  "unavailable"
]
const MESSAGE = 4096
const MILLISECONDS = 0

const readHello = (reader: FieldReader): HelloFrame => {
  const ping_interval_ms = reader.optionalInteger("ping_interval_ms", MILLISECONDS)
  return {
    type: "hello",
    nonce: reader.nonce("nonce"),
    server_pub_key: reader.key("server_pub_key"),
    server_time: reader.integer("server_time", MILLISECONDS),
    level: reader.oneOf("level", LEVELS),
    ...(ping_interval_ms === undefined ? {} : { ping_interval_ms })
  }
}

const readLimits = (reader: FieldReader): Limits => {
  const text = reader.slice("limits")
  const scan = text === null ? "syntax" : scanObject(text, 0, text.length, 2)
  if (typeof scan === "string") {
    reader.fail("limits", "an object")
    return { max_frame: 0, max_in_flight: 0, max_in_flight_bytes: 0 }
  }
  const limits = new FieldReader(text!, scan, reader.raw("limits"), "limits.")
  const found: Limits = {
    max_frame: limits.integer("max_frame", 1),
    max_in_flight: limits.integer("max_in_flight", 1),
    max_in_flight_bytes: limits.integer("max_in_flight_bytes", 1)
  }
  reader.problem ??= limits.problem
  return found
}

const readRegistered = (reader: FieldReader): RegisteredFrame => {
  const ticket_hash = reader.raw("ticket_hash") === undefined ? undefined : reader.nonce("ticket_hash")
  const only = reader.raw("only") === undefined ? undefined : reader.oneOf("only", ["cancel"])
  return {
    type: "registered",
    app_id: reader.uuid("app_id"),
    parent_id: reader.optionalUuid("parent_id") ?? null,
    child_pub_key: reader.key("child_pub_key"),
    ...(ticket_hash === undefined ? {} : { ticket_hash }),
    server_pub_key: reader.key("server_pub_key"),
    nonce: reader.nonce("nonce"),
    client_nonce: reader.nonce("client_nonce"),
    incarnation: reader.integer("incarnation", 1),
    epoch: reader.integer("epoch", 0),
    session: reader.uuid("session"),
    last_seq: reader.integer("last_seq", 0),
    ...(only === undefined ? {} : { only }),
    limits: readLimits(reader),
    ping_interval_ms: reader.integer("ping_interval_ms", MILLISECONDS)
  }
}

const readAck = (reader: FieldReader): AckFrame => ({
  type: "ack",
  app_id: reader.uuid("app_id"),
  incarnation: reader.integer("incarnation", 1),
  seq: reader.integer("seq", 0)
})

const readDeclared = (reader: FieldReader): DeclaredFrame => ({
  type: "declared",
  app_id: reader.uuid("app_id"),
  child_id: reader.uuid("child_id")
})

const readControl = (reader: FieldReader): ControlFrame => {
  const traceparent = reader.optionalString("traceparent", Bounds.NAME)
  return {
    type: "control",
    app_id: reader.uuid("app_id"),
    incarnation: reader.integer("incarnation", 1),
    session: reader.uuid("session"),
    epoch: reader.integer("epoch", 0),
    action: reader.string("action", Bounds.NAME),
    correlation_id: reader.string("correlation_id", Bounds.CORRELATION_ID),
    payload: reader.raw("payload") ?? null,
    issued_by: reader.string("issued_by", Bounds.NAME),
    issued_at: reader.integer("issued_at", MILLISECONDS),
    expires_at: reader.integer("expires_at", MILLISECONDS),
    ...(traceparent === undefined ? {} : { traceparent })
  }
}

const readEvent = (reader: FieldReader): EventFrame => {
  const event = readTreeEvent(reader.raw("event"))
  if (event === null) reader.fail("event", "a CloudEvent 1.0 of a node (docs/protocol.md, Tree events)")
  return {
    type: "event",
    app_id: reader.uuid("app_id"),
    cursor: reader.string("cursor", Bounds.CURSOR),
    event: event as TreeEvent
  }
}

const readError = (reader: FieldReader): ErrorFrame => {
  const app_id = reader.optionalUuid("app_id")
  const seq = reader.optionalInteger("seq", 0)
  const retry_after_ms = reader.optionalInteger("retry_after_ms", MILLISECONDS)
  const session = reader.optionalUuid("session")
  const client_nonce = reader.raw("client_nonce") === undefined ? undefined : reader.nonce("client_nonce")
  const pub_key = reader.raw("pub_key") === undefined ? undefined : reader.key("pub_key")
  const child_id = reader.optionalUuid("child_id")
  const retryable = reader.raw("retryable")
  if (typeof retryable !== "boolean") reader.fail("retryable", "true or false")
  return {
    type: "error",
    code: reader.oneOf("code", CODES),
    message: reader.string("message", MESSAGE),
    ...(app_id === undefined ? {} : { app_id }),
    ...(seq === undefined ? {} : { seq }),
    retryable: retryable === true,
    ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
    ...(session === undefined ? {} : { session }),
    ...(client_nonce === undefined ? {} : { client_nonce }),
    ...(pub_key === undefined ? {} : { pub_key }),
    ...(child_id === undefined ? {} : { child_id })
  }
}

const READERS: Readonly<Record<string, (reader: FieldReader) => ServerFrame>> = {
  hello: readHello,
  registered: readRegistered,
  ack: readAck,
  declared: readDeclared,
  control: readControl,
  event: readEvent,
  error: readError
}

/** For v1 clients: the frame in `text`, or why it is none. The signature is verified before (`SignedFrame.ts`). */
export const decodeServerFrame = (text: string): DecodedServerFrame | FrameProblem => {
  const scan = scanObject(text)
  if (typeof scan === "string") return refuseText(text, scan)
  const value = parseJson(text) as Readonly<Record<string, unknown>> | undefined
  if (value === undefined) return refuseText(text, "syntax")
  const type = value["type"]
  const read = typeof type === "string" && Object.hasOwn(READERS, type) ? READERS[type] : undefined
  if (read === undefined) return { code: "bad_frame", message: "type is not one of version 1", fatal: false }
  const reader = new FieldReader(text, scan, value)
  const frame = read(reader)
  if (reader.problem !== null) return { code: "bad_frame", message: reader.problem, fatal: false }
  const payload = type === "control" ? reader.slice("payload") : type === "event" ? reader.slice("event") : null
  return { frame, raw: text, payload }
}
