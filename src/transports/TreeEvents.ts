import type { EventFrame } from "../protocol/Frames.ts"
import { type TreeEvent, treeEventId, treeEventType } from "../protocol/TreeEvent.ts"
import type { TreeLogRow } from "../storage/TreeLog.ts"

/** JSON may need six bytes for one UTF-16 unit (`\u0000`); what is not the row's frame is shorter than the second. */
const WORST_UNIT = 6
const WORST_REST = 16 * 1024
/** `,"sig":"ed25519:…"` */
const SEAL = 128

export interface EventLimits {
  /** Bytes that an event's frame may have on the wire. */
  readonly maxFrame: number
  /** Where REST is, without a slash at its end; empty: only the path is known. */
  readonly restUrl: string
}

/** A row as a CloudEvent, its frame with it. */
export const eventOf = (row: TreeLogRow): TreeEvent => ({
  specversion: "1.0",
  id: treeEventId(row.appId, row.n),
  source: `urn:uuid:${row.rootId}`,
  type: treeEventType(row.kind),
  subject: row.appId,
  time: new Date(row.createdAt).toISOString(),
  datacontenttype: "application/json",
  ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
  data: {
    app_id: row.appId,
    parent_id: row.parentId,
    root_id: row.rootId,
    path: row.path,
    app_name: row.appName,
    namespace: row.namespace,
    kind: row.kind,
    incarnation: row.incarnation,
    epoch: row.epoch,
    n: row.n,
    seq: row.seq,
    correlation_id: row.correlationId,
    facts: row.data,
    ...(row.frame === null ? {} : { frame: row.frame })
  }
})

/** The event without its frame, with where to get it: `restUrl` as in `EventLimits`. */
export const bareEventOf = (row: TreeLogRow, restUrl: string): TreeEvent => ({
  ...eventOf({ ...row, frame: null }),
  dataref: `${restUrl}/api/v1/apps/${row.appId}/log?after=${row.n - 1}&limit=1`
})

const fits = (frame: EventFrame, stored: string, { maxFrame }: EventLimits): boolean =>
  stored.length * WORST_UNIT + WORST_REST <= maxFrame || Buffer.byteLength(JSON.stringify(frame)) + SEAL <= maxFrame

/** What a subscriber is told about a row (PROTOCOL §11): with its frame verbatim, or with where to get it. */
export const eventFrame = (subscriber: string, row: TreeLogRow, limits: EventLimits): EventFrame => {
  const frame: EventFrame = { type: "event", app_id: subscriber, cursor: String(row.id), event: eventOf(row) }
  if (row.frame === null || fits(frame, row.frame, limits)) return frame
  return { ...frame, event: bareEventOf(row, limits.restUrl) }
}
