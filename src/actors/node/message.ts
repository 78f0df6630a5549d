import { Effect } from "effect"
import type { Decoded } from "../../protocol/Frames.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { isFinal } from "../../protocol/Final.ts"
import type { SessionPort } from "../SessionPort.ts"
import { audit } from "./audit.ts"
import { commit } from "./commit.ts"
import { type DataFrame, type DataPlan, decideData, EVIDENCE_LIMIT, suspects } from "./decideData.ts"
import { load } from "./load.ts"
import { detach, type NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"
import { refusePoison } from "./refusePoison.ts"
import { recordStop } from "./recordStop.ts"

/**
 * A run of data frames of one session, decided together and appended in one write (PROTOCOL §6). Nothing is acked
 * before the commit; when somebody else moved the row meanwhile everything is decided anew from it.
 */
export const receiveData: (
  env: NodeEnvironment,
  cell: NodeCell,
  session: SessionPort,
  batch: ReadonlyArray<Decoded<DataFrame>>
) => Effect.Effect<void, StoreError> = Effect.fnUntraced(function* (env, cell, session, batch) {
  while (cell.session === session) {
    const row = yield* load(env, cell)
    // The frames of a replaced session are not acked: its child sends them again in the newer one.
    if (row === null || cell.session !== session) return
    if (cell.stopping !== null) return yield* recordStop(env, cell, session, batch)

    const doubtful = suspects(row, batch)
    const stored = new Map<number, string>()
    if (doubtful.length > 0) {
      const frames = yield* persist(env.store.storedFrames(cell.id, row.incarnation, doubtful))
      for (const { frame, seq } of frames) stored.set(seq, frame)
    }
    const plan = decideData({
      row,
      dialect: session.dialect,
      batch,
      stored,
      evidence: cell.evidence,
      commands: cell.commands
    })

    if (plan.change !== null) {
      const result = yield* commit(env, cell, row, plan.change)
      if (result._tag === "moved") continue
      if (result._tag === "poisoned") {
        if (batch.length === 1) return refusePoison(cell, session, batch[0]!, result.message)
        for (const decoded of batch) yield* receiveData(env, cell, session, [decoded])
        return
      }
    }
    cell.evidence = plan.evidence
    yield* auditConflicts(env, cell, plan)
    return answer(env, cell, session, cell.row ?? row, plan)
  }
})

/** A conflict is audited (PROTOCOL §6), at most `EVIDENCE_LIMIT` times a session. */
const auditConflicts = Effect.fnUntraced(function* (env: NodeEnvironment, cell: NodeCell, plan: DataPlan) {
  for (const disposition of plan.dispositions) {
    if (disposition._tag !== "Refused" || disposition.code !== "seq_conflict") continue
    if (cell.evidence >= EVIDENCE_LIMIT) return
    cell.evidence++
    yield* audit(env, cell.id, "message", "deny", "seq_conflict", { seq: disposition.seq })
  }
})

/** v1: refusals, then one cumulative ack. Legacy: one answer per frame, in order. */
const answer = (env: NodeEnvironment, cell: NodeCell, session: SessionPort, row: NodeRow, plan: DataPlan): void => {
  const ack = (seq: number) => session.send({ type: "ack", app_id: cell.id, incarnation: row.incarnation, seq })
  let acked = 0
  for (const disposition of plan.dispositions) {
    if (disposition._tag === "Refused") {
      session.send({
        type: "error",
        code: disposition.code,
        message: disposition.message,
        app_id: cell.id,
        ...(disposition.seq === null ? {} : { seq: disposition.seq }),
        retryable: false
      })
    } else if (disposition.seq !== null) {
      acked++
      if (session.dialect === "legacy") ack(disposition.seq)
    }
  }
  if (acked > 0 && session.dialect === "v1") ack(row.lastSeq)
  env.telemetry.framesAcked.add(acked)
  if (plan.endsSession && isFinal(row.status)) {
    detach(cell)
    session.end(null)
  }
}
