import type { ErrorFrame, Level, RegisterFrame, ReRegisterFrame } from "../../protocol/Frames.ts"
import { isWeaker } from "../../protocol/Level.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import { isFinal } from "../../protocol/Final.ts"
import { isSilent } from "../Lifecycle.ts"
import { rejection } from "./rejection.ts"

export type Verdict =
  | { readonly _tag: "Accept"; readonly event: "register" | "rebind" | "re_register" }
  /** Refused, but alive: it gets a session in which it is told to stop. */
  | { readonly _tag: "CancelOnly" }
  /** A timer of the state has passed and nobody has written it yet: do so, then judge again. */
  | { readonly _tag: "Overdue" }
  | { readonly _tag: "Reject"; readonly error: ErrorFrame; readonly impostor: boolean }

const reject = (error: ErrorFrame, impostor = false): Verdict => ({ _tag: "Reject", error, impostor })

/** Final because it was stopped from outside or came too late, so that a living child has to be told (PROTOCOL §4). */
const mustBeStopped = (row: NodeRow): boolean => row.status === "cancelled" || row.status === "start_failed"

/** How strong the frame and its connection are. */
export interface Proof {
  readonly verified: boolean
  /** The weakest level that may register by this connection. */
  readonly floor: Level
}

const weakness = (row: NodeRow, { floor, verified }: Proof): Verdict | null =>
  row.level !== "open" && !verified
    ? reject(rejection(row.appId, "level_too_weak", `this node is of level ${row.level}: its frames must be signed`))
    : isWeaker(row.level, floor)
      ? reject(rejection(row.appId, "level_too_weak", `no node below ${floor} registers by this connection`))
      : null

/** `register` on a node that exists (PROTOCOL §4). `ticketHash` is that of the frame's `info`, null without a ticket. */
export const judgeRegister = (row: NodeRow, frame: RegisterFrame, proof: Proof, ticketHash: string | null): Verdict => {
  const id = row.appId
  const weak = weakness(row, proof)
  if (weak !== null) return weak
  if (row.parentId !== frame.parent_id) {
    return reject(rejection(id, "registration_failed", "parent_id is not this node's parent"))
  }
  const sameKey = row.pubKey === frame.child_pub_key
  if (row.status === "scheduled" && row.deadlineAt !== null && row.deadlineAt <= row.readAt) return { _tag: "Overdue" }

  if (row.pubKey === null) {
    if (row.childKey !== null && row.childKey !== frame.child_pub_key) {
      return reject(rejection(id, "key_mismatch", "the envelope names another key for this node"), true)
    }
    if (row.ticketHash !== null && row.ticketHash !== ticketHash) {
      return reject(rejection(id, "ticket_invalid", "info is not the envelope that this node was declared with"), true)
    }
    return isFinal(row.status) ? { _tag: "CancelOnly" } : { _tag: "Accept", event: "register" }
  }
  if (isFinal(row.status)) {
    return sameKey && mustBeStopped(row)
      ? { _tag: "CancelOnly" }
      : // Who holds another key learns nothing of what is stored.
        reject(
          rejection(id, "terminal", `the node has ended as ${row.status}`, undefined, sameKey ? row.lastSeq : undefined)
        )
  }
  if (sameKey) return { _tag: "Accept", event: "register" }
  const mayRebind =
    isSilent(row.status) &&
    row.childKey === null &&
    row.ticketHash !== null &&
    row.ticketHash === ticketHash &&
    row.rebinds < row.supervision.restarts
  if (mayRebind) return { _tag: "Accept", event: "rebind" }
  return reject(rejection(id, "key_mismatch", "another key is bound to this node"), true)
}

/** `re_register` (PROTOCOL §4, §7). On done and error the refusal says up to which seq frames are stored. */
export const judgeReRegister = (row: NodeRow, frame: ReRegisterFrame, proof: Proof): Verdict => {
  const id = row.appId
  const weak = weakness(row, proof)
  if (weak !== null) return weak
  if (row.pubKey === null) return reject(rejection(id, "not_registered", "this node has never registered: register"))
  if (row.pubKey !== frame.pub_key) {
    return reject(rejection(id, "key_mismatch", "another key is bound to this node"), true)
  }
  if (frame.incarnation !== undefined && frame.incarnation !== row.incarnation) {
    return reject(rejection(id, "superseded", `this node is at incarnation ${row.incarnation}`))
  }
  if (isFinal(row.status)) {
    return mustBeStopped(row)
      ? { _tag: "CancelOnly" }
      : reject(rejection(id, "terminal", `the node has ended as ${row.status}`, undefined, row.lastSeq))
  }
  return { _tag: "Accept", event: "re_register" }
}
