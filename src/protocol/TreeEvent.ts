import { asTraceparent } from "./FieldReader.ts"
import type { TreeEventKind } from "./Subjects.ts"
import { isUuid } from "./Uuid.ts"

const TYPE_PREFIX = "io.trails.node."

/**
 * What happened to one node, out of one committed log row (PROTOCOL §11). `kind` is one of `TreeEventKind`, or one that
 * a newer server knows: a reader ignores what it does not know.
 */
export interface TreeEventData {
  /** The node that it happened to. */
  readonly app_id: string
  /** Its parent at that time. */
  readonly parent_id: string | null
  readonly root_id: string
  /** Ids from the root to the node itself, as they were at that time. */
  readonly path: ReadonlyArray<string>
  readonly app_name: string
  readonly namespace: string
  readonly kind: TreeEventKind | (string & {})
  /** 0 before the first registration. */
  readonly incarnation: number
  readonly epoch: number
  /** The node's log counter: rises with each row of this node, and not all rows are events. */
  readonly n: number
  /** Of a frame that has one. */
  readonly seq: number | null
  readonly correlation_id: string | null
  /**
   * The server's own facts: `reason`, `crash_type`, `gap_seconds`, `late_start`, `forced`, `disconnect`, `session`, `by`,
   * `pub_key`, `peer` …, by kind.
   */
  readonly facts: Readonly<Record<string, unknown>> | null
  /**
   * The child's frame exactly as it was received; of `connected`, `recovered` and `rebound` the server's `registered`,
   * exactly as it was sent. Absent when there is none, or when it is too large (then `dataref` is there).
   */
  readonly frame?: string
}

/** A CloudEvent 1.0 in JSON (PROTOCOL §11). */
export interface TreeEvent {
  readonly specversion: "1.0"
  /** `<appId>:<n>`: the same event that comes twice has the same. */
  readonly id: string
  /** The tree: `urn:uuid:<root id>`. */
  readonly source: string
  /** `io.trails.node.<kind>` */
  readonly type: string
  /** The node's id. */
  readonly subject: string
  /** RFC 3339, by the database's clock. */
  readonly time: string
  readonly datacontenttype: "application/json"
  readonly traceparent?: string
  /** Where the log row with its frame is: a URL, or a path on the server's REST endpoint. */
  readonly dataref?: string
  readonly data: TreeEventData
}

export const treeEventType = (kind: string): string => TYPE_PREFIX + kind

export const treeEventId = (appId: string, n: number): string => `${appId}:${n}`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null)

const readData = (value: unknown): TreeEventData | null => {
  if (!isObject(value)) return null
  const { app_id, epoch, frame, incarnation, kind, n, parent_id, path, root_id, seq } = value
  if (!isUuid(app_id) || typeof kind !== "string" || !isCount(n) || !isCount(incarnation) || !isCount(epoch))
    return null
  return {
    app_id,
    parent_id: isUuid(parent_id) ? parent_id : null,
    root_id: isUuid(root_id) ? root_id : app_id,
    path: Array.isArray(path) && path.every(isUuid) ? (path as ReadonlyArray<string>) : [app_id],
    app_name: textOf(value["app_name"]) ?? "",
    namespace: textOf(value["namespace"]) ?? "",
    kind,
    incarnation,
    epoch,
    n,
    seq: isCount(seq) ? seq : null,
    correlation_id: textOf(value["correlation_id"]),
    facts: isObject(value["facts"]) ? value["facts"] : null,
    ...(typeof frame === "string" ? { frame } : {})
  }
}

/**
 * The tree event in `value` (JSON.parse of an event), or null when it is none. Tolerant: it asks for what tells node,
 * kind and order, takes the rest where it is as expected, and ignores what it does not know.
 */
export const readTreeEvent = (value: unknown): TreeEvent | null => {
  if (!isObject(value) || value["specversion"] !== "1.0") return null
  const data = readData(value["data"])
  if (data === null || value["id"] !== treeEventId(data.app_id, data.n) || value["type"] !== treeEventType(data.kind))
    return null
  const traceparent = asTraceparent(value["traceparent"])
  const dataref = textOf(value["dataref"])
  return {
    specversion: "1.0",
    id: value["id"],
    source: textOf(value["source"]) ?? "",
    type: value["type"],
    subject: textOf(value["subject"]) ?? data.app_id,
    time: textOf(value["time"]) ?? "",
    datacontenttype: "application/json",
    ...(traceparent === null ? {} : { traceparent }),
    ...(dataref === null ? {} : { dataref }),
    data
  }
}
