import type { ErrorCode, NodeState } from "../protocol/Frames.ts"
import { isFinal } from "../protocol/Final.ts"
import type { LogKind } from "../storage/LogRow.ts"

/**
 * The life of a tree node as a pure function (PROTOCOL §7).
 *
 *   scheduled ──register──▶ connected ──Status──▶ running ──Result / Error / disconnect──▶ done | error | cancelled
 *       │                       └────────┬──────────┘
 *       │                     socket or replica lost
 *       ▼                                ▼
 *   start_failed                    reconnecting ──silence──▶ crashed | lost_contact
 *                                        └──re_register──▶ the state before ◀──re_register──┘
 *
 * done, error, cancelled and start_failed are final (P9): no event moves them.
 */
export interface Standing {
  readonly status: NodeState
  /** The state to return to; set in reconnecting, crashed and lost_contact only. */
  readonly before: NodeState | null
  /** Why it is reconnecting: decides the verdict of silence. */
  readonly loss: Loss | null
}

/** `connection_drop` and `heartbeat_timeout`: the child went away. The others: we did. */
export type Loss = "connection_drop" | "heartbeat_timeout" | "server_closed" | "replica_lost"

export type LifecycleEvent =
  | "register"
  | "rebind"
  | "re_register"
  | "status"
  | "result"
  | "error"
  | "disconnect_completed"
  | "disconnect_error"
  | "disconnect_cancelled"
  | "connection_drop"
  | "heartbeat_timeout"
  | "server_closed"
  | "replica_lost"
  | "deadline"
  | "intent_deleted"
  | "cancelled"
  | "forced"
  | "superseded"

/** Which of the state's timers starts: `state_deadline_at`. */
export type Timer = "disconnect_grace" | "reconnect_window" | "none" | "keep"

export type Transition =
  | {
      readonly _tag: "Moved"
      readonly to: Standing
      readonly timer: Timer
      readonly kind: LogKind
      /** `outcome.reason`, and `data.crash_type` of a verdict. */
      readonly reason: string | null
    }
  /** The sender is told. */
  | { readonly _tag: "Refused"; readonly code: ErrorCode }
  /** Out of date, nobody to tell. */
  | { readonly _tag: "Ignored" }

const ATTACHED: ReadonlySet<NodeState> = new Set(["connected", "running"])
const SILENT: ReadonlySet<NodeState> = new Set(["reconnecting", "crashed", "lost_contact"])

export const isAttached = (status: NodeState): boolean => ATTACHED.has(status)
/** Rebinding is allowed from these (PROTOCOL §4). */
export const isSilent = (status: NodeState): boolean => SILENT.has(status)

const IGNORED: Transition = { _tag: "Ignored" }
const refused = (code: ErrorCode): Transition => ({ _tag: "Refused", code })

const moved = (
  status: NodeState,
  kind: LogKind,
  reason: string | null = null,
  timer: Timer = "none",
  before: NodeState | null = null,
  loss: Loss | null = null
): Transition => ({ _tag: "Moved", to: { status, before, loss }, timer, kind, reason })

const lost = (from: Standing, loss: Loss): Transition =>
  isAttached(from.status)
    ? moved(
        "reconnecting",
        "reconnecting",
        loss,
        loss === "connection_drop" || loss === "heartbeat_timeout" ? "disconnect_grace" : "reconnect_window",
        from.status,
        loss
      )
    : IGNORED

const verdict = (from: Standing): Transition => {
  switch (from.status) {
    case "scheduled":
      return moved("start_failed", "start_failed", "never_started")
    case "reconnecting":
      return from.loss === "connection_drop" || from.loss === "heartbeat_timeout"
        ? moved("crashed", "crash", from.loss, "none", from.before, from.loss)
        : moved("lost_contact", "lost_contact", from.loss, "none", from.before, from.loss)
    default:
      return IGNORED
  }
}

/** Data frames need a session, and a session exists in `connected` and `running` only. */
const data = (from: Standing, to: NodeState, kind: LogKind, reason: string | null = null): Transition =>
  isAttached(from.status) ? moved(to, kind, reason, to === "running" ? "keep" : "none") : refused("not_registered")

const CONTROL_EVENTS: ReadonlySet<LifecycleEvent> = new Set([
  "connection_drop",
  "heartbeat_timeout",
  "server_closed",
  "replica_lost",
  "deadline",
  "cancelled",
  "forced",
  "superseded"
])

/** What `event` does to a node that stands at `from`. Pure; every cell is tested. */
export const transition = (from: Standing, event: LifecycleEvent): Transition => {
  if (isFinal(from.status)) return CONTROL_EVENTS.has(event) ? IGNORED : refused("terminal")
  switch (event) {
    case "register":
      return moved("connected", "connected")
    case "rebind":
      return isSilent(from.status) ? moved("connected", "rebound") : refused("key_mismatch")
    case "re_register":
      if (from.status === "scheduled") return refused("not_registered")
      return moved(from.before ?? from.status, "recovered")
    case "status":
      return data(from, "running", "status")
    case "result":
      return data(from, "done", "result")
    case "error":
      return data(from, "error", "error")
    case "disconnect_completed":
      return data(from, "done", "result", "completed")
    case "disconnect_error":
      return data(from, "error", "error", "error")
    case "disconnect_cancelled":
      return data(from, "cancelled", "cancelled", "cancelled")
    case "connection_drop":
    case "heartbeat_timeout":
    case "server_closed":
    case "replica_lost":
      return lost(from, event)
    case "deadline":
      return verdict(from)
    case "intent_deleted":
      return from.status === "scheduled"
        ? moved("cancelled", "cancelled", "intent_deleted")
        : refused("registration_failed")
    case "cancelled":
    case "forced":
    case "superseded":
      return moved("cancelled", "cancelled", event)
  }
}

/** PROTOCOL §3 `disconnect`: what its reason means. */
export const disconnectEvent = (reason: string): LifecycleEvent => {
  switch (reason) {
    case "completed":
    case "done":
      return "disconnect_completed"
    case "cancelled":
      return "disconnect_cancelled"
    default:
      return "disconnect_error"
  }
}
