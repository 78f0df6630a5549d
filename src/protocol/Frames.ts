import type { TreeEvent } from "./TreeEvent.ts"

/**
 * The frames of TRAILS version 1 as types (PROTOCOL §3). Field names are the wire's.
 * `decodeClientFrame` in `FrameDecoder.ts` is the only way from text to a `ClientFrame`.
 */

/** Security level, weakest first (PROTOCOL §1). */
export type Level = "open" | "signed" | "encrypted" | "full"

/** PROTOCOL §7. `done error cancelled start_failed` are final. */
export type NodeState =
  | "scheduled"
  | "connected"
  | "running"
  | "done"
  | "error"
  | "crashed"
  | "cancelled"
  | "start_failed"
  | "reconnecting"
  | "lost_contact"

export type MsgType = "Status" | "Result" | "Error"

/** Self-reported by the child; grants nothing (PROTOCOL §9). */
export interface ProcessInfo {
  readonly pid: number
  readonly ppid: number
  readonly uid: number
  readonly gid: number
  readonly user?: string
  readonly hostname: string
  readonly node_name?: string
  readonly pod_ip?: string
  readonly namespace?: string
  /** Epoch milliseconds; null only from legacy clients that do not know it. */
  readonly start_time: number | null
  /** Null only from legacy clients that do not know it. */
  readonly executable: string | null
}

export interface RegisterFrame {
  readonly type: "register"
  readonly app_id: string
  readonly parent_id: string | null
  readonly app_name: string
  readonly child_pub_key: string
  readonly process_info: ProcessInfo
  readonly role_refs: ReadonlyArray<string>
  /** The members below are absent in legacy frames. */
  readonly nonce?: string
  readonly client_nonce?: string
  readonly server_key?: string
  readonly start_day?: number
  readonly info?: string
  readonly capabilities?: ReadonlyArray<string>
  /** What the node's own cancel hook may need, milliseconds. */
  readonly cancel_grace_ms?: number
  readonly ping_interval_ms?: number
}

export interface ReRegisterFrame {
  readonly type: "re_register"
  readonly app_id: string
  readonly last_seq: number
  readonly pub_key: string
  /** Absent in legacy frames. */
  readonly incarnation?: number
  readonly nonce?: string
  readonly client_nonce?: string
  readonly server_key?: string
}

export interface MessageFrame {
  readonly type: "message"
  readonly app_id: string
  readonly header: {
    readonly msg_type: MsgType
    readonly timestamp: number
    readonly seq: number
    readonly correlation_id: string | null
    readonly traceparent?: string
  }
  /** base64; stored as bytes. The JSON `payload` is not here: see `Decoded.payload`. */
  readonly bytes?: string
  /** Absent in legacy frames. */
  readonly incarnation?: number
  readonly start_day?: number
}

export interface DisconnectFrame {
  readonly type: "disconnect"
  readonly app_id: string
  readonly reason: string
  /** Absent in legacy frames. */
  readonly seq?: number
  readonly incarnation?: number
}

export interface ControlResultFrame {
  readonly type: "control_result"
  readonly app_id: string
  readonly incarnation?: number
  readonly correlation_id: string
  readonly ack: boolean
  /** Present when `ack` is false. `result` is an application value: see `Decoded.payload`. */
  readonly error?: string
}

export interface DeclareFrame {
  readonly type: "declare"
  /** The parent. */
  readonly app_id: string
  readonly incarnation?: number
  /** The child's envelope with its ticket, base64. */
  readonly info: string
  readonly replaces?: string
}

export interface SubscribeFrame {
  readonly type: "subscribe"
  readonly app_id: string
  readonly incarnation?: number
  readonly scope: "children" | "subtree"
  readonly from?: string
}

/** What the node takes has changed since it registered. */
export interface CapabilitiesFrame {
  readonly type: "capabilities"
  readonly app_id: string
  readonly incarnation?: number
  readonly capabilities: ReadonlyArray<string>
  readonly cancel_grace_ms?: number
}

export type ClientFrame =
  | RegisterFrame
  | ReRegisterFrame
  | MessageFrame
  | DisconnectFrame
  | ControlResultFrame
  | DeclareFrame
  | SubscribeFrame
  | CapabilitiesFrame

export type Dialect = "v1" | "legacy"

/** A client frame with the bytes that it came in. */
export interface Decoded<F extends ClientFrame = ClientFrame> {
  readonly frame: F
  /** The frame's text exactly as received, `sig` included. */
  readonly raw: string
  /** Size of `raw` in UTF-8 bytes. */
  readonly bytes: number
  /** The exact slice of the application's value (`payload`, or `result` of a control_result), never re-serialised. */
  readonly payload: string | null
}

export interface HelloFrame {
  readonly type: "hello"
  readonly nonce: string
  readonly server_pub_key: string
  readonly server_time: number
  readonly level: Level
  /** From now on until `registered` says otherwise; 0: off. Older servers do not say it, and do not ping until then. */
  readonly ping_interval_ms?: number
}

export interface Limits {
  readonly max_frame: number
  readonly max_in_flight: number
  readonly max_in_flight_bytes: number
}

export interface RegisteredFrame {
  readonly type: "registered"
  readonly app_id: string
  readonly parent_id: string | null
  readonly child_pub_key: string
  readonly ticket_hash?: string
  readonly server_pub_key: string
  readonly nonce?: string
  readonly client_nonce?: string
  readonly incarnation: number
  readonly epoch: number
  readonly session: string
  readonly last_seq: number
  readonly only?: "cancel"
  readonly limits: Limits
  readonly ping_interval_ms: number
}

export interface AckFrame {
  readonly type: "ack"
  readonly app_id: string
  readonly incarnation: number
  readonly seq: number
}

export interface DeclaredFrame {
  readonly type: "declared"
  readonly app_id: string
  readonly child_id: string
}

export interface ControlFrame {
  readonly type: "control"
  readonly app_id: string
  readonly incarnation: number
  readonly session: string
  readonly epoch: number
  readonly action: string
  readonly correlation_id: string
  readonly payload: unknown
  readonly issued_by: string
  /** Epoch milliseconds, server time. */
  readonly issued_at: number
  readonly expires_at: number
  readonly traceparent?: string
}

export interface EventFrame {
  readonly type: "event"
  readonly app_id: string
  /** Opaque; the `from` of a later `subscribe` that goes on behind this event. */
  readonly cursor: string
  readonly event: TreeEvent
}

/** PROTOCOL §3, closed list. */
export type ErrorCode =
  | "bad_frame"
  | "too_large"
  | "bad_signature"
  | "not_registered"
  | "registration_failed"
  | "key_mismatch"
  | "ticket_invalid"
  | "deadline_passed"
  | "parent_sealed"
  | "level_too_weak"
  | "seq_conflict"
  | "superseded"
  | "terminal"
  | "replaced"
  | "going_away"
  | "overloaded"
  | "unavailable"

export interface ErrorFrame {
  readonly type: "error"
  readonly code: ErrorCode
  /** Says what is wrong and what to do; never a secret. */
  readonly message: string
  readonly app_id?: string
  readonly seq?: number
  readonly retryable: boolean
  readonly retry_after_ms?: number
  /** The session that it is about; of a refused registration instead the attempt's `client_nonce`, and the key that signed it. */
  readonly session?: string
  readonly client_nonce?: string
  readonly pub_key?: string
  /** The child whose declaration is refused. */
  readonly child_id?: string
}

export type ServerFrame =
  | HelloFrame
  | RegisteredFrame
  | AckFrame
  | DeclaredFrame
  | ControlFrame
  | EventFrame
  | ErrorFrame
