import { fits, FieldReader } from "./FieldReader.ts"
import { parseJson } from "./FrameDecoder.ts"
import { scanObject } from "./JsonScan.ts"
import { BROADCAST } from "./Subjects.ts"
import { isUuid } from "./Uuid.ts"

/** The version that this server writes. Another one is not read; what a later one only adds is not seen. */
const VERSION = 1
/** Of a message with its signature, UTF-8 bytes. */
export const REPLICA_MESSAGE_BYTES = 4096
/** Nodes that one message names: with the longest epochs it fits. */
export const REPLICA_MESSAGE_NODES = 50
/** Bytes that make each message another one, and its signature with it. */
export const REPLICA_NONCE_BYTES = 16
const KIND = 64

export interface HintedNode {
  readonly appId: string
  /** The epoch under which the sender has seen the row; null: it doesn't know. */
  readonly epoch: number | null
}

/**
 * - `moved`, `commanded`: what the nodes' actors have to look at.
 * - `log`: rows were committed to the log.
 * - `cut_off`: the sender's lease has run out and the database does not answer it; has anybody reaped it?
 * - `reaped`: in the database the receiver's boot is reaped, which it stays for ever.
 */
export type ReplicaContent =
  | { readonly kind: "moved" | "commanded"; readonly nodes: ReadonlyArray<HintedNode> }
  | { readonly kind: "log" | "cut_off" | "reaped" }

/**
 * What one replica says to another: M of a signed message (tag `trails.v1.replica`; docs/protocol.md §17). A hint, whatever
 * it says: no message changes a row (P14).
 */
export interface ReplicaMessage<Content = ReplicaContent> {
  /** UUID of the sender's boot. */
  readonly from: string
  /** UUID of the receiver's boot, or `BROADCAST`. */
  readonly to: string
  /** Epoch milliseconds by the sender's clock. */
  readonly at: number
  /** Strict base64 of `REPLICA_NONCE_BYTES`. */
  readonly nonce: string
  readonly content: Content
}

/** `malformed`: no such message. `version`: written in a version that this server doesn't read. */
export type ReplicaMessageProblem = "malformed" | "version"

const members = (content: ReplicaContent) => {
  if (!("nodes" in content)) return {}
  const [first, ...more] = content.nodes
  if (first === undefined || more.length >= REPLICA_MESSAGE_NODES) {
    throw new TypeError(`a message names 1 to ${REPLICA_MESSAGE_NODES} nodes`)
  }
  if (more.length > 0)
    return { nodes: content.nodes.map(({ appId, epoch }) => (epoch === null ? [appId] : [appId, epoch])) }
  return first.epoch === null ? { app_id: first.appId } : { app_id: first.appId, epoch: first.epoch }
}

/** The text that is signed. One node is named as `app_id` and `epoch`, several as `nodes: [[app_id, epoch], [app_id]]`. */
export const encodeReplicaMessage = ({ at, content, from, nonce, to }: ReplicaMessage): string =>
  JSON.stringify({ v: VERSION, from, to, at, nonce, kind: content.kind, ...members(content) })

const readNode = (value: unknown): HintedNode | null => {
  if (!Array.isArray(value) || value.length < 1 || value.length > 2) return null
  const [appId, epoch = null] = value as ReadonlyArray<unknown>
  if (!isUuid(appId)) return null
  if (epoch === null) return { appId, epoch }
  return Number.isSafeInteger(epoch) && (epoch as number) >= 0 ? { appId, epoch: epoch as number } : null
}

const readNodes = (reader: FieldReader): ReadonlyArray<HintedNode> => {
  const many = reader.raw("nodes")
  if (many === undefined) return [{ appId: reader.uuid("app_id"), epoch: reader.optionalInteger("epoch", 0) ?? null }]
  const nodes = Array.isArray(many) && many.length <= REPLICA_MESSAGE_NODES ? many.map(readNode) : []
  if (nodes.length < 2 || reader.has("app_id") || reader.has("epoch") || nodes.includes(null)) {
    reader.fail("nodes", `2 to ${REPLICA_MESSAGE_NODES} of [app_id, epoch], without another app_id`)
  }
  return nodes as ReadonlyArray<HintedNode>
}

const readContent = (reader: FieldReader): ReplicaContent | null => {
  const kind = reader.string("kind", KIND)
  switch (kind) {
    case "log":
    case "cut_off":
    case "reaped":
      return { kind }
    case "moved":
    case "commanded":
      return { kind, nodes: readNodes(reader) }
    default:
      return null
  }
}

/**
 * M of a message whose signature holds. Members that it doesn't know are not looked at; `content` is null when the whole
 * kind is unknown: a replica of the next version may run beside this one.
 */
export const decodeReplicaMessage = (text: string): ReplicaMessage<ReplicaContent | null> | ReplicaMessageProblem => {
  if (!fits(text, REPLICA_MESSAGE_BYTES)) return "malformed"
  const scan = scanObject(text)
  const value = typeof scan === "string" ? undefined : parseJson(text)
  if (typeof scan === "string" || value === undefined) return "malformed"
  const reader = new FieldReader(text, scan, value)
  const version = reader.integer("v", 1)
  if (reader.problem === null && version !== VERSION) return "version"
  const message = {
    from: reader.uuid("from"),
    to: reader.raw("to") === BROADCAST ? BROADCAST : reader.uuid("to"),
    at: reader.integer("at", 0),
    nonce: reader.nonce("nonce", REPLICA_NONCE_BYTES),
    content: readContent(reader)
  }
  return reader.problem === null ? message : "malformed"
}
