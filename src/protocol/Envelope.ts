import { decodeBase64, encodeBase64 } from "./Base64.ts"
import { asTraceparent, FieldReader, fits, isPlain } from "./FieldReader.ts"
import type { Level } from "./Frames.ts"
import { scanObject } from "./JsonScan.ts"
import { parseKey } from "./Keys.ts"
import { LEVELS } from "./Level.ts"
import * as Limits from "./Limits.ts"
import { attachMember, splitMember } from "./SignedFrame.ts"
import { decodeUtf8, encodeUtf8 } from "./Utf8.ts"

/** PROTOCOL §2 `supervision`, defaults applied. */
export interface EnvelopeSupervision {
  readonly onParentExit: "cancel" | "abandon"
  readonly onCrash: "notify" | "cancel_siblings" | "escalate"
  readonly restarts: number
}

/** A node's birth: the decoded `TRAILS_INFO` (PROTOCOL §2). */
export interface Envelope {
  readonly mode: "full" | "bootstrap"
  readonly appId: string
  readonly parentId: string | null
  readonly appName: string
  readonly serverEp: string
  readonly serverPubKey: string | null
  readonly secLevel: Level
  /** Epoch milliseconds; 0 when the envelope names none: too far from any clock, so that the server's is taken. */
  readonly scheduledAt: number
  /** Seconds; 0 = none. */
  readonly startDeadline: number
  /** False: the envelope names none, and `startDeadline` is the protocol's default. */
  readonly startDeadlineGiven?: boolean
  readonly namespace: string | null
  readonly originator: unknown
  readonly roleRefs: ReadonlyArray<string>
  readonly grants: ReadonlyArray<unknown>
  readonly tags: Readonly<Record<string, unknown>> | null
  readonly supervision: EnvelopeSupervision
  readonly childKey: string | null
  readonly traceparent: string | null
  readonly tracestate: string | null
  /** `ed25519:<base64>`; the last member of `json` when there is one. */
  readonly ticket: string | null
  /** The JSON text exactly as it came. */
  readonly json: string
}

/** Why a text is no envelope, in words for whoever made it. */
export interface EnvelopeProblem {
  readonly problem: string
}

export const isEnvelopeProblem = (value: Envelope | EnvelopeProblem): value is EnvelopeProblem => "problem" in value

/** What `encodeEnvelope` writes. Absent and null members are left out, except `parentId`. */
export interface EnvelopeFields {
  readonly appId: string
  readonly parentId: string | null
  readonly appName: string
  readonly serverEp: string
  readonly serverPubKey?: string | null
  readonly secLevel: Level
  readonly scheduledAt: number
  readonly startDeadline?: number
  readonly namespace?: string | null
  readonly originator?: unknown
  readonly roleRefs?: ReadonlyArray<string>
  readonly grants?: ReadonlyArray<unknown>
  readonly tags?: Readonly<Record<string, unknown>> | null
  readonly supervision?: Partial<EnvelopeSupervision>
  readonly childKey?: string | null
  readonly traceparent?: string | null
  readonly tracestate?: string | null
  readonly ticket?: string | null
}

const SCHEMES = /^(?:wss?|https?|h3|udp|mqtt|ble|lora):\/\/[^\s]+$/

const problem = (text: string): EnvelopeProblem => ({ problem: `TRAILS_INFO: ${text}` })

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** An application's object: bounded, otherwise opaque. */
const readObject = (reader: FieldReader, key: string): Readonly<Record<string, unknown>> | null => {
  const value = reader.raw(key)
  if (value === undefined) return null
  if (isObject(value) && fits(reader.slice(key) ?? "", Limits.ENVELOPE_OBJECT)) return value
  reader.fail(key, `an object of at most ${Limits.ENVELOPE_OBJECT} bytes`)
  return null
}

const readGrants = (reader: FieldReader): ReadonlyArray<unknown> => {
  const value = reader.raw("grants")
  if (value === undefined) return []
  if (
    Array.isArray(value) &&
    value.length <= Limits.GRANTS &&
    value.every(isObject) &&
    fits(reader.slice("grants") ?? "", Limits.ENVELOPE_OBJECT)
  )
    return value as ReadonlyArray<unknown>
  reader.fail("grants", `a list of at most ${Limits.GRANTS} objects, ${Limits.ENVELOPE_OBJECT} bytes in all`)
  return []
}

const readSupervision = (reader: FieldReader): EnvelopeSupervision => {
  const text = reader.raw("supervision") === undefined ? "{}" : (reader.slice("supervision") ?? "{}")
  const scan = scanObject(text, 0, text.length, 2)
  if (typeof scan === "string") {
    reader.fail("supervision", "an object that names no member twice")
    return { onParentExit: "abandon", onCrash: "notify", restarts: 0 }
  }
  const policy = new FieldReader(text, scan, reader.raw("supervision") ?? {}, "supervision.")
  const found: EnvelopeSupervision = {
    onParentExit: policy.oneOf("onParentExit", ["abandon", "cancel"], "abandon"),
    onCrash: policy.oneOf("onCrash", ["notify", "cancel_siblings", "escalate"], "notify"),
    restarts: policy.optionalInteger("restarts", 0, Limits.RESTARTS) ?? 0
  }
  reader.problem ??= policy.problem
  return found
}

const readServerEp = (reader: FieldReader): string => {
  const url = reader.string("serverEp", Limits.URL_LENGTH)
  if (!SCHEMES.test(url))
    reader.fail("serverEp", "a URL with one of the schemes ws wss http https h3 udp mqtt ble lora")
  return url
}

const readNamespace = (reader: FieldReader): string | null => {
  const namespace = reader.optionalString("namespace", Limits.NAMESPACE)
  if (namespace === "") reader.fail("namespace", "absent or not empty")
  return namespace ?? null
}

/** In level `open` the server's key protects nothing, and legacy envelopes carry any text there. */
const readServerKey = (reader: FieldReader, open: boolean): string | null => {
  const value = reader.raw("serverPubKey")
  if (open && (typeof value !== "string" || parseKey(value) === null)) return null
  if (value === undefined) reader.fail("serverPubKey", "the server's public key: secLevel is above open")
  return reader.optionalKey("serverPubKey") ?? null
}

const readTicket = (reader: FieldReader, json: string): string | null => {
  const ticket = reader.raw("ticket")
  if (ticket === undefined) return null
  if (typeof ticket === "string" && splitMember(json, "ticket") !== null) return ticket
  reader.fail("ticket", 'a signature and the last member, written as ,"ticket":"ed25519:…"} without white space')
  return null
}

/**
 * Decodes `TRAILS_INFO`: strict base64 of UTF-8 JSON. Unknown members are ignored, missing ones get the protocol's
 * defaults. The ticket is taken apart by `Ticket.ts`; here it is only known to stand where it can be verified.
 */
export const decodeEnvelope = (base64: string): Envelope | EnvelopeProblem => {
  if (base64.length > Limits.INFO) return problem(`larger than ${Limits.ENVELOPE} bytes`)
  const bytes = decodeBase64(base64)
  if (bytes === null) return problem("not strict standard base64 (padding, no line breaks)")
  const json = decodeUtf8(bytes)
  if (json === null) return problem("the base64 does not hold UTF-8 text")
  const scan = scanObject(json)
  let value: Readonly<Record<string, unknown>>
  if (scan === "depth") return problem(`nests deeper than ${Limits.DEPTH} levels`)
  if (scan === "duplicate") return problem("names a member twice")
  if (scan === "members") return problem(`has more than ${Limits.MEMBERS} members`)
  if (scan === "escape") return problem("writes a member's name with escapes")
  if (scan === "syntax") return problem("the base64 does not hold a JSON object")
  try {
    value = JSON.parse(json) as Readonly<Record<string, unknown>>
  } catch {
    return problem("the base64 does not hold a JSON object")
  }
  if (value["v"] !== 1)
    return problem(`version ${JSON.stringify(value["v"]) ?? "missing"}; this side understands "v": 1`)
  if (value["mode"] === "bootstrap") return problem("mode bootstrap needs a later version of TRAILS")
  const reader = new FieldReader(json, scan, value)
  const secLevel = reader.oneOf("secLevel", LEVELS, "open")
  const startDeadline = reader.optionalInteger("startDeadline", 0, Limits.START_DEADLINE)
  const tracestate = reader.raw("tracestate")
  const envelope: Envelope = {
    mode: reader.oneOf("mode", ["full"], "full"),
    appId: reader.uuid("appId", true),
    parentId: reader.optionalUuid("parentId", true) ?? null,
    appName: reader.string("appName", Limits.APP_NAME),
    serverEp: readServerEp(reader),
    serverPubKey: readServerKey(reader, secLevel === "open"),
    secLevel,
    scheduledAt: reader.optionalInteger("scheduledAt", 0) ?? 0,
    startDeadline: startDeadline ?? Limits.DEFAULT_START_DEADLINE,
    startDeadlineGiven: startDeadline !== undefined,
    namespace: readNamespace(reader),
    originator: readObject(reader, "originator"),
    roleRefs: reader.strings("roleRefs", Limits.ROLE_REFS, Limits.NAME),
    grants: readGrants(reader),
    tags: readObject(reader, "tags"),
    supervision: readSupervision(reader),
    childKey: reader.optionalKey("childKey") ?? null,
    traceparent: asTraceparent(reader.raw("traceparent")),
    tracestate:
      typeof tracestate === "string" && fits(tracestate, Limits.TRACESTATE) && isPlain(tracestate) ? tracestate : null,
    ticket: readTicket(reader, json),
    json
  }
  if (envelope.parentId === envelope.appId) reader.fail("parentId", "another node than appId")
  return reader.problem === null ? envelope : problem(reader.problem)
}

/** The envelope's JSON text; without a ticket it is the text that a ticket signs. */
export const encodeEnvelope = (fields: EnvelopeFields): string => {
  const { ticket, ...others } = fields
  const given = Object.entries(others).filter(
    ([key, value]) => key === "parentId" || (value !== undefined && value !== null)
  )
  const json = JSON.stringify({ v: 1, ...Object.fromEntries(given) })
  return ticket === undefined || ticket === null ? json : attachMember(json, "ticket", ticket)
}

/** The form that goes into the environment and into `register.info`. */
export const encodeInfo = (json: string): string => encodeBase64(encodeUtf8(json))
