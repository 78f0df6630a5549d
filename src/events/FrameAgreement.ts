import type { ClientFrame, DisconnectFrame, MessageFrame, ServerFrame } from "../protocol/Frames.ts"
import type { TreeEventData } from "../protocol/TreeEvent.ts"

/*
 * Whether event and frame say the same (docs/protocol.md, §12): a genuine frame in an event of another kind, or about another
 * command, would say what nobody has signed. What an event says besides, its `facts` and its place, is the server's word.
 */

const KIND_OF = { Status: "status", Result: "result", Error: "error" } as const
const REGISTERED_KINDS: ReadonlySet<string> = new Set(["connected", "recovered", "rebound"])
const ANSWER_KINDS: ReadonlySet<string> = new Set(["control", "cancelled"])

/** What a node says that may only stop is recorded beside its end, as `control` (PROTOCOL §4). */
const isBesideTheEnd = ({ facts, kind }: TreeEventData): boolean => kind === "control" && facts?.["only"] === "cancel"

const messageAgrees = ({ header }: MessageFrame, data: TreeEventData): boolean => {
  const { correlation_id, msg_type, seq } = header
  if (seq !== data.seq) return false
  if (isBesideTheEnd(data)) return msg_type !== "Status"
  if (correlation_id !== data.correlation_id) return false
  // A Result that answers a cancel ends the node as cancelled (PROTOCOL §8).
  return (
    data.kind === KIND_OF[msg_type] || (msg_type === "Result" && data.kind === "cancelled" && correlation_id !== null)
  )
}

/** What a farewell ends a node as (PROTOCOL §3). */
const kindOfFarewell = (reason: string): TreeEventData["kind"] => {
  if (reason === "completed" || reason === "done") return "result"
  return reason === "cancelled" ? "cancelled" : "error"
}

const disconnectAgrees = ({ reason, seq }: DisconnectFrame, data: TreeEventData): boolean =>
  seq === data.seq && (isBesideTheEnd(data) || data.kind === kindOfFarewell(reason))

export const nodeAgrees = (frame: ClientFrame, data: TreeEventData): boolean => {
  if (frame.app_id !== data.app_id) return false
  if ("incarnation" in frame && frame.incarnation !== undefined && frame.incarnation !== data.incarnation) return false
  switch (frame.type) {
    case "message":
      return messageAgrees(frame, data)
    case "disconnect":
      return disconnectAgrees(frame, data)
    case "control_result":
      return frame.correlation_id === data.correlation_id && ANSWER_KINDS.has(data.kind)
    default:
      return false
  }
}

export const serverAgrees = (frame: ServerFrame, data: TreeEventData): boolean => {
  const { facts, kind } = data
  if (frame.type !== "registered" && frame.type !== "control") return false
  if (frame.app_id !== data.app_id || frame.incarnation !== data.incarnation || frame.epoch !== data.epoch) return false
  if (frame.type === "registered") {
    return (
      frame.parent_id === data.parent_id &&
      (frame.only === undefined ? REGISTERED_KINDS.has(kind) : isBesideTheEnd(data))
    )
  }
  return (
    kind === "control" &&
    frame.correlation_id === data.correlation_id &&
    frame.action === facts?.["action"] &&
    frame.issued_by === facts["by"]
  )
}
