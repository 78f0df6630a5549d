import { Effect } from "effect"
import type { ControlResultFrame, Decoded } from "../../protocol/Frames.ts"
import type { LogEntry } from "../../storage/LogRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import type { SessionPort } from "../SessionPort.ts"
import { answeredMark, answerFacts } from "./answer.ts"
import { commit } from "./commit.ts"
import { type DataFrame, EVIDENCE_LIMIT, seqOf } from "./decideData.ts"
import { load } from "./load.ts"
import { detach, type NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { refusePoison } from "./refusePoison.ts"
import { persist } from "./persist.ts"

type StopFrame = DataFrame | ControlResultFrame

const isStatus = (frame: StopFrame): boolean => frame.type === "message" && frame.header.msg_type === "Status"

const controlEntry = (decoded: Decoded<StopFrame>, incarnation: number, lateStart: boolean): LogEntry => {
  const { frame } = decoded
  const outcome =
    frame.type === "control_result"
      ? answerFacts(frame)
      : frame.type === "disconnect"
        ? { disconnect: frame.reason }
        : { msg_type: frame.header.msg_type }
  return {
    kind: "control",
    incarnation,
    seq: frame.type === "control_result" ? null : seqOf(frame),
    correlationId: frame.type === "control_result" ? frame.correlation_id : null,
    frame: decoded.raw,
    payload: decoded.payload,
    bytes: frame.type === "message" ? (frame.bytes ?? null) : null,
    data: { only: "cancel", late_start: lateStart, ...outcome },
    traceparent: null
  }
}

/**
 * What a child says in a session that exists only to tell it to stop (PROTOCOL §4): its Result, Error, farewell or
 * answer is recorded beside the final state, which stays (P9); progress is refused with `terminal`.
 */
export const recordStop: (
  env: NodeEnvironment,
  cell: NodeCell,
  session: SessionPort,
  batch: ReadonlyArray<Decoded<StopFrame>>
) => Effect.Effect<void, StoreError> = Effect.fnUntraced(function* (env, cell, session, batch) {
  const refuse = (message: string, seq: number | null) =>
    session.send({
      type: "error",
      code: "terminal",
      message,
      app_id: cell.id,
      ...(seq === null ? {} : { seq }),
      retryable: false
    })

  for (const decoded of batch) {
    const { frame } = decoded
    const seq = frame.type === "control_result" ? null : seqOf(frame)
    if (isStatus(frame)) {
      refuse("this node was cancelled; the session is only for stopping", seq)
      continue
    }
    const told = frame.type === "control_result" && cell.commands?.has(frame.correlation_id) === true
    if (frame.type === "control_result" && frame.correlation_id !== cell.stopping && !told) {
      refuse("no such command in this session", null)
      continue
    }
    /** null: refused by the database. */
    let stored: boolean | null = true
    while (true) {
      const row = yield* load(env, cell)
      if (row === null || cell.session !== session) return
      const fresh = seq === null ? cell.evidence < EVIDENCE_LIMIT : seq > row.lastSeq
      if (!fresh) {
        const before = seq === null ? [] : yield* persist(env.store.storedFrames(cell.id, row.incarnation, [seq]))
        stored = before[0]?.frame === decoded.raw
        break
      }
      if (seq === null) cell.evidence++
      const lateStart = row.status === "start_failed" || row.outcome?.lateStart === true
      const result = yield* commit(env, cell, row, {
        hot: seq === null ? {} : { lastSeq: seq },
        deadlineIn: "keep",
        rows: [controlEntry(decoded, row.incarnation, lateStart)],
        // Asked before somebody else ended the node: its answer is told to whoever waits for it.
        ...(told && frame.type === "control_result" ? { commands: [answeredMark(frame, decoded.payload)] } : {})
      })
      if (result._tag === "poisoned") {
        refusePoison(cell, session, decoded, result.message)
        stored = null
      }
      if (result._tag !== "moved") break
    }
    if (stored === null) continue
    if (seq !== null && !stored) {
      session.send({
        type: "error",
        code: "seq_conflict",
        message: `seq ${seq} is not stored with these bytes: seqs must rise`,
        app_id: cell.id,
        seq,
        retryable: false
      })
      continue
    }
    if (seq !== null) {
      const incarnation = cell.row?.incarnation ?? frame.incarnation ?? 0
      session.send({
        type: "ack",
        app_id: cell.id,
        incarnation,
        seq: session.dialect === "legacy" ? seq : (cell.row?.lastSeq ?? seq)
      })
    }
    if (frame.type === "disconnect") {
      detach(cell)
      session.end(null)
      return
    }
  }
})
