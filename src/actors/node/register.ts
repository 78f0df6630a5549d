import { Clock, Effect } from "effect"
import type { RegisterFrame, ReRegisterFrame } from "../../protocol/Frames.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { transition } from "../Lifecycle.ts"
import type { Admission, NodeMessage } from "../NodeMessage.ts"
import { audit } from "./audit.ts"
import { attach, registeredFrame } from "./attach.ts"
import { bearByRegister } from "./bearByRegister.ts"
import { type Change, commit, commitOwn, entry } from "./commit.ts"
import { passDeadline } from "./deadline.ts"
import { standingOf } from "./decideData.ts"
import { judgeRegister, judgeReRegister, type Verdict } from "./judgeRegister.ts"
import { load } from "./load.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { rejection } from "./rejection.ts"

export type Registration = Extract<NodeMessage, { readonly _tag: "Register" | "ReRegister" }>

/** The compare-and-set that makes the session the node's: `epoch + 1`, so that whoever held it before is deposed. */
const changeFor = (
  env: NodeEnvironment,
  row: NodeRow,
  message: Registration,
  verdict: Extract<Verdict, { readonly _tag: "Accept" | "CancelOnly" }>
): { readonly change: Change; readonly text: string } => {
  const { session } = message
  const cancelOnly = verdict._tag === "CancelOnly"
  const born = message._tag === "Register"
  const next = cancelOnly ? null : transition(standingOf(row), verdict.event)
  const moved = next?._tag === "Moved" ? next : null
  const incarnation = row.incarnation + (born ? 1 : 0)
  const frame: RegisterFrame | ReRegisterFrame = message.decoded.frame
  const pubKey = frame.type === "register" ? frame.child_pub_key : frame.pub_key
  const place = {
    appId: row.appId,
    parentId: row.parentId,
    ticketHash: row.ticketHash,
    pubKey,
    incarnation,
    epoch: row.epoch + 1,
    lastSeq: born ? 0 : row.lastSeq,
    cancelOnly
  }
  const text = session.seal(registeredFrame(place, session, frame))
  return {
    text,
    change: {
      hot: {
        status: moved?.to.status ?? row.status,
        before: moved?.to.before ?? null,
        owner: env.boot,
        session: session.id,
        epoch: place.epoch,
        incarnation,
        lastSeq: place.lastSeq,
        ...(verdict._tag === "Accept" && verdict.event === "rebind" ? { rebinds: row.rebinds + 1 } : {})
      },
      deadlineIn: null,
      ...(cancelOnly ? {} : { outcome: null }),
      ...(frame.type === "register"
        ? {
            identity: {
              incarnation,
              pubKey,
              processInfo: frame.process_info,
              capabilities: frame.capabilities ?? [],
              cancelGraceMs: frame.cancel_grace_ms ?? null
            }
          }
        : {}),
      rows: [
        cancelOnly
          ? entry("control", incarnation, { only: "cancel", late_start: row.status === "start_failed" }, text)
          : entry(moved?.kind ?? "connected", incarnation, { session: session.id }, text)
      ]
    }
  }
}

const judge = (env: NodeEnvironment, row: NodeRow, message: Registration): Verdict =>
  message._tag === "Register"
    ? judgeRegister(
        row,
        message.decoded.frame,
        message,
        message.envelope === null ? null : env.ticketHash(message.envelope)
      )
    : judgeReRegister(row, message.decoded.frame, message)

/**
 * To a client that has gone meanwhile: what it sent lay in a replica that was frozen, or cut off. It has come back elsewhere
 * since then, and its late word must not end the session that it has there. Nobody hears this.
 */
const tooLate = (appId: string): Admission => ({
  _tag: "Rejected",
  error: rejection(appId, "unavailable", "the socket of this registration has gone", 0)
})

/** `register` and `re_register` (PROTOCOL §4): judge, write, attach; decided anew whenever the row moved meanwhile. */
export const register: (
  env: NodeEnvironment,
  cell: NodeCell,
  message: Registration
) => Effect.Effect<Admission, StoreError> = Effect.fnUntraced(function* (env, cell, message) {
  const previous = cell.session
  // What was cached may be another replica's by now: the decision on a registration starts from the row itself.
  if (previous === null) cell.row = null
  while (true) {
    const row = yield* load(env, cell)
    if (row === null) {
      if (message._tag === "ReRegister") {
        return { _tag: "Rejected", error: rejection(cell.id, "not_registered", "this node is not known: register") }
      }
      const admission = yield* bearByRegister(env, cell, message)
      if (admission === "exists") continue
      return admission
    }
    if (row.session !== null && message.session.room === "gone") return tooLate(cell.id)
    const verdict = judge(env, row, message)
    if (verdict._tag === "Overdue") {
      yield* passDeadline(env, cell, row)
      cell.row = null
      continue
    }
    if (verdict._tag === "Reject") {
      if (verdict.impostor) yield* reportImpostor(env, cell, row, message)
      return { _tag: "Rejected", error: verdict.error }
    }
    const { change, text } = changeFor(env, row, message, verdict)
    const result = yield* commit(env, cell, row, change)
    if (result._tag === "moved") continue
    if (result._tag === "poisoned") {
      return { _tag: "Rejected", error: rejection(cell.id, "bad_frame", `can't be stored: ${result.message}`) }
    }
    if (verdict._tag === "Accept" && verdict.event === "rebind") yield* audit(env, cell.id, "rebind", "allow", "ticket")
    return yield* attach(env, cell, cell.row ?? row, message.session, text, verdict._tag === "CancelOnly")
  }
})

/** Another key knocked: an `impostor` event beside the unchanged state, the parent's only sign of a stolen ticket. */
const reportImpostor = Effect.fnUntraced(function* (
  env: NodeEnvironment,
  cell: NodeCell,
  row: NodeRow,
  message: Registration
) {
  const { decoded } = message
  if (!env.mayReportImpostor(cell.id, yield* Clock.currentTimeMillis)) return
  const key = decoded.frame.type === "register" ? decoded.frame.child_pub_key : decoded.frame.pub_key
  let current: NodeRow | null = row
  while (current !== null) {
    const result = yield* commitOwn(env, cell, current, {
      hot: {},
      deadlineIn: "keep",
      // Not the frame: its `info` may be the stolen ticket, and readers of the log must not get it.
      rows: [entry("impostor", current.incarnation, { pub_key: key, peer: message.session.peer })]
    })
    if (result !== "moved") break
    current = yield* load(env, cell)
  }
  yield* audit(env, cell.id, decoded.frame.type, "deny", "key_mismatch")
})
