import type { Decoded, DisconnectFrame, ErrorCode, MessageFrame } from "../../protocol/Frames.ts"
import type { LogEntry } from "../../storage/LogRow.ts"
import type { NodeRow, Outcome } from "../../storage/NodeRow.ts"
import { isFinal } from "../../protocol/Final.ts"
import { disconnectEvent, type LifecycleEvent, type Loss, type Standing, transition } from "../Lifecycle.ts"
import type { Change } from "./commit.ts"
import type { ToldCommand } from "./NodeCell.ts"

export type DataFrame = MessageFrame | DisconnectFrame

/** Evidence rows kept per session: the peer decides how many it provokes, we decide how many we keep. */
export const EVIDENCE_LIMIT = 16

export type Disposition =
  /** In the write; acked after its commit. */
  | { readonly _tag: "Stored"; readonly seq: number | null }
  /** Stored before with the same bytes (legacy: with the same seq); acked again. */
  | { readonly _tag: "Duplicate"; readonly seq: number }
  | { readonly _tag: "Refused"; readonly seq: number | null; readonly code: ErrorCode; readonly message: string }

export interface DataPlan {
  /** One per message, in order. */
  readonly dispositions: ReadonlyArray<Disposition>
  /** null when nothing is to be written. */
  readonly change: Change | null
  readonly endsSession: boolean
  readonly evidence: number
}

export interface DataRequest {
  readonly row: NodeRow
  readonly dialect: "v1" | "legacy"
  readonly batch: ReadonlyArray<Decoded<DataFrame>>
  /** Frames already stored for the seqs that `suspects` named. */
  readonly stored: ReadonlyMap<number, string>
  readonly evidence: number
  /** What the session was told and has not answered. */
  readonly commands: ReadonlyMap<string, ToldCommand> | null
}

export const standingOf = (row: NodeRow): Standing => ({
  status: row.status,
  before: row.before,
  loss: row.status === "reconnecting" ? ((row.outcome?.reason as Loss | undefined) ?? "connection_drop") : null
})

export const seqOf = (frame: DataFrame): number | null =>
  frame.type === "message" ? frame.header.seq : (frame.seq ?? null)

/** Seqs that may have been stored before, to look up before `decideData`. */
export const suspects = (row: NodeRow, batch: ReadonlyArray<Decoded<DataFrame>>): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (const { frame } of batch) {
    const seq = seqOf(frame)
    if (seq !== null && seq <= row.lastSeq) found.push(seq)
  }
  return found
}

/** The cancel in whose hook it was sent (PROTOCOL §8); null: it is an ordinary report. */
const cancelOf = (frame: DataFrame, commands: DataRequest["commands"]): ToldCommand | null => {
  if (commands === null || frame.type !== "message" || frame.header.correlation_id === null) return null
  const told = commands.get(frame.header.correlation_id)
  return told?.action === "cancel" && frame.header.msg_type === "Result" ? told : null
}

const eventOf = (frame: DataFrame): LifecycleEvent => {
  if (frame.type === "disconnect") return disconnectEvent(frame.reason)
  switch (frame.header.msg_type) {
    case "Status":
      return "status"
    case "Result":
      return "result"
    case "Error":
      return "error"
  }
}

const entryOf = (decoded: Decoded<DataFrame>, kind: LogEntry["kind"], incarnation: number): LogEntry => {
  const { frame } = decoded
  return frame.type === "message"
    ? {
        kind,
        incarnation,
        seq: frame.header.seq,
        correlationId: frame.header.correlation_id,
        frame: decoded.raw,
        payload: decoded.payload,
        bytes: frame.bytes ?? null,
        data: null,
        traceparent: frame.header.traceparent ?? null
      }
    : {
        kind,
        incarnation,
        seq: frame.seq ?? null,
        correlationId: null,
        frame: decoded.raw,
        payload: null,
        bytes: null,
        data: { disconnect: frame.reason },
        traceparent: null
      }
}

/** What of a child's data frames is stored, what is a repetition, what is refused (PROTOCOL §6). Pure. */
export const decideData = (request: DataRequest): DataPlan => {
  const { dialect, row, stored } = request
  const dispositions: Array<Disposition> = []
  const rows: Array<LogEntry> = []
  const fresh = new Map<number, string>()
  let standing = standingOf(row)
  let lastSeq = row.lastSeq
  let evidence = request.evidence
  let endsSession = false
  let snapshot: { readonly seq: number; readonly payload: string } | undefined
  let outcome: Outcome | undefined
  let clearsDeadline = false

  const refuse = (seq: number | null, code: ErrorCode, message: string) => {
    dispositions.push({ _tag: "Refused", seq, code, message })
  }

  for (const decoded of request.batch) {
    const { frame } = decoded
    const seq = seqOf(frame)
    if (frame.incarnation !== undefined && frame.incarnation !== row.incarnation) {
      refuse(seq, "superseded", `this node is at incarnation ${row.incarnation}; register again`)
      continue
    }
    if (seq !== null) {
      const before = fresh.get(seq) ?? stored.get(seq)
      if (before !== undefined) {
        if (dialect === "legacy" || before === decoded.raw) dispositions.push({ _tag: "Duplicate", seq })
        else refuse(seq, "seq_conflict", `seq ${seq} is stored with other bytes; nothing was overwritten`)
        continue
      }
      if (dialect === "v1" && seq <= lastSeq) {
        refuse(seq, "seq_conflict", `seq ${seq} was never stored and seq ${lastSeq} is: seqs must rise`)
        continue
      }
    }
    const cancel = isFinal(standing.status) ? null : cancelOf(frame, request.commands)
    const next = transition(standing, cancel === null ? eventOf(frame) : "cancelled")
    if (next._tag === "Moved") {
      rows.push(entryOf(decoded, next.kind, row.incarnation))
      standing = next.to
      if (next.timer === "none") clearsDeadline = true
      if (isFinal(standing.status)) {
        outcome = {
          state: standing.status,
          ...(frame.type === "disconnect" ? { reason: frame.reason } : {}),
          ...(cancel === null ? {} : { reason: cancel.reason ?? "cancelled" }),
          ...(decoded.payload === null ? {} : { payload: decoded.payload })
        }
      } else if (decoded.payload !== null && seq !== null) snapshot = { seq, payload: decoded.payload }
    } else if (frame.type === "disconnect" && isFinal(standing.status)) {
      // The usual farewell after a Result: stored like any acked frame, and it changes nothing (P9).
      rows.push(entryOf(decoded, "refused", row.incarnation))
    } else {
      if (next._tag === "Refused" && next.code === "terminal" && evidence < EVIDENCE_LIMIT) {
        evidence++
        rows.push({ ...entryOf(decoded, "refused", row.incarnation), seq: null, data: { seq, code: "terminal" } })
      }
      const code = next._tag === "Refused" ? next.code : "not_registered"
      refuse(seq, code, code === "terminal" ? `the node has ended as ${standing.status}` : "register first")
      continue
    }
    if (frame.type === "disconnect") endsSession = true
    if (seq !== null) {
      fresh.set(seq, decoded.raw)
      if (seq > lastSeq) lastSeq = seq
    }
    dispositions.push({ _tag: "Stored", seq })
  }

  return {
    dispositions,
    endsSession,
    evidence,
    change:
      rows.length === 0
        ? null
        : {
            hot: { status: standing.status, before: standing.before, lastSeq },
            deadlineIn: clearsDeadline ? null : "keep",
            rows,
            ...(snapshot === undefined ? {} : { snapshot }),
            ...(outcome === undefined ? {} : { outcome })
          }
  }
}
