import type { LogEntry } from "./LogRow.ts"
import type { HotState, Identity } from "./NodeRow.ts"
import type { Birth, CommandMark, NodeWrite } from "./NodeStore.ts"
import { payloadSlice } from "./PayloadSlice.ts"
import { holdsAsJsonb } from "./Projection.ts"

/** To be made JSON by `pgJson`. Members that are absent arrive in SQL as null. */
type Record = { [member: string]: unknown }

const put = (record: Record, member: string, value: unknown): void => {
  if (value !== null && value !== undefined) record[member] = value
}

const logRecord = (entry: LogEntry, i: number, project: boolean): Record => {
  const record: Record = { i, kind: entry.kind, incarnation: entry.incarnation }
  put(record, "seq", entry.seq)
  put(record, "correlation_id", entry.correlationId)
  put(record, "frame", entry.frame)
  put(record, "bytes", entry.bytes)
  put(record, "data", entry.data)
  put(record, "traceparent", entry.traceparent)
  if (entry.payload !== null) {
    Object.assign(record, payloadSlice(entry.frame, entry.payload))
    if (project && holdsAsJsonb(entry.payload)) record["project"] = true
  }
  return record
}

const logRecords = (rows: ReadonlyArray<LogEntry>, project: boolean): ReadonlyArray<Record> =>
  rows.map((entry, index) => logRecord(entry, index + 1, project))

const putHot = (record: Record, hot: HotState): void => {
  record["status"] = hot.status
  put(record, "before", hot.before)
  put(record, "owner", hot.owner)
  put(record, "session", hot.session)
  record["epoch"] = hot.epoch
  record["incarnation"] = hot.incarnation
  record["last_seq"] = hot.lastSeq
  record["rebinds"] = hot.rebinds
}

const putIdentity = (record: Record, identity: Identity | undefined): void => {
  if (identity === undefined) return
  record["identity"] = {
    incarnation: identity.incarnation,
    pub_key: identity.pubKey,
    process_info: identity.processInfo,
    capabilities: identity.capabilities,
    ...(identity.cancelGraceMs === null ? {} : { cancel_grace_ms: identity.cancelGraceMs })
  }
}

const markRecord = (mark: CommandMark): Record => ({
  correlation_id: mark.correlationId,
  told: mark._tag === "Told",
  ...(mark._tag === "Told" ? {} : mark.answer)
})

/** One element of the append's parameter. `project` false: the payloads' projections are left null. */
export const writeRecord = (write: NodeWrite, i: number, project: boolean): Record => {
  const record: Record = {
    i,
    app_id: write.appId,
    epoch0: write.expected.epoch,
    n0: write.expected.n,
    k: write.rows.length,
    write_id: write.writeId,
    path_version: write.pathVersion,
    rows: logRecords(write.rows, project)
  }
  put(record, "parent_id", write.path.at(-2))
  putHot(record, write.hot)
  if (write.deadlineIn === "keep") record["keep"] = true
  else if (write.deadlineIn !== null) record["deadline_in"] = Math.round(write.deadlineIn)
  if (write.snapshot !== undefined) {
    record["snapshot_seq"] = write.snapshot.seq
    record["snapshot"] = write.snapshot.payload
  }
  if (write.outcome !== undefined) {
    record["judged"] = true
    put(record, "outcome", write.outcome)
  }
  putIdentity(record, write.identity)
  if (write.commands !== undefined) record["commands"] = write.commands.map(markRecord)
  if (write.capable !== undefined) {
    const { cancelGraceMs, names } = write.capable
    record["capable"] = { capabilities: names, ...(cancelGraceMs === null ? {} : { cancel_grace_ms: cancelGraceMs }) }
  }
  return record
}

/** Where a new node stands: a root by itself, any other by its parent. */
export interface Placement {
  readonly parentId: string | null
  readonly rootId: string
  readonly path: ReadonlyArray<string>
  readonly namespace: string
  readonly originator: unknown
}

/** The parameter of a birth. */
export const birthRecord = (
  appId: string,
  writeId: string,
  birth: Birth,
  place: Placement,
  project: boolean
): Record => {
  const record: Record = {
    app_id: appId,
    root_id: place.rootId,
    path: place.path,
    app_name: birth.appName,
    namespace: place.namespace,
    level: birth.level,
    role_refs: birth.roleRefs,
    grants: birth.grants,
    supervision: birth.supervision,
    start_deadline: Math.round(birth.startDeadline),
    scheduled_at: Math.round(birth.scheduledAt),
    write_id: writeId,
    k: birth.rows.length,
    rows: logRecords(birth.rows, project)
  }
  put(record, "parent_id", place.parentId)
  put(record, "envelope", birth.envelope)
  put(record, "originator", place.originator)
  put(record, "tags", birth.tags)
  put(record, "child_key", birth.childKey)
  put(record, "ticket_hash", birth.ticketHash)
  put(record, "traceparent", birth.traceparent)
  putHot(record, birth.hot)
  put(record, "deadline_in", birth.deadlineIn === null ? null : Math.round(birth.deadlineIn))
  put(record, "outcome", birth.outcome)
  putIdentity(record, birth.identity)
  return record
}
