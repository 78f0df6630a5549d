import type { Level, NodeState, ProcessInfo } from "../protocol/Frames.ts"

export type OnParentExit = "cancel" | "abandon"
export type OnCrash = "notify" | "cancel_siblings" | "escalate"

/** PROTOCOL §2 `supervision`, defaults applied. */
export interface SupervisionPolicy {
  readonly onParentExit: OnParentExit
  readonly onCrash: OnCrash
  readonly restarts: number
}

/** How a node ended, or the latest verdict on it. Survives the retention of the log (DESIGN §4). */
export interface Outcome {
  /** The state that it explains. */
  readonly state: NodeState
  /** e.g. `connection_drop`, `heartbeat_timeout`, `never_started`, `superseded`, `parent_sealed`, the disconnect's reason. */
  readonly reason?: string
  /** Exact text of the Result or Error payload. */
  readonly payload?: string
  readonly forced?: boolean
  readonly lateStart?: boolean
}

/**
 * The hot part of a node: what the compare-and-set replaces as a whole (DESIGN §2).
 * `deadline` is relative, in milliseconds from the commit's own `now()` in the database; "keep" leaves the column as it is.
 */
export interface HotState {
  readonly status: NodeState
  /** The state to return to from reconnecting, crashed or lost_contact. */
  readonly before: NodeState | null
  /** Boot of the replica that holds the session; null when none does. */
  readonly owner: string | null
  readonly session: string | null
  readonly epoch: number
  readonly incarnation: number
  readonly lastSeq: number
  readonly rebinds: number
}

/** Facts of the birth, written once, and what is bound later by registration. */
export interface NodeFacts {
  readonly appId: string
  readonly parentId: string | null
  readonly rootId: string
  readonly path: ReadonlyArray<string>
  readonly pathVersion: number
  readonly appName: string
  readonly namespace: string
  readonly level: Level
  readonly supervision: SupervisionPolicy
  /** The only key that may register, when the envelope names one. */
  readonly childKey: string | null
  /** base64 of SHA-256 over the envelope's bytes with ticket; null when it came without a ticket. */
  readonly ticketHash: string | null
  readonly originator: unknown
  readonly roleRefs: ReadonlyArray<string>
  readonly grants: ReadonlyArray<unknown>
  readonly tags: unknown
  readonly startDay: number
}

/** Everything an actor needs to decide about its node: one read. */
export interface NodeRow extends NodeFacts, HotState {
  readonly n: number
  readonly writeId: string
  /** Epoch milliseconds of the database's clock, or null. */
  readonly deadlineAt: number | null
  /** The database's clock at the read, epoch milliseconds: compare `deadlineAt` with this only. */
  readonly readAt: number
  /** Key of the current incarnation; null before the first registration. */
  readonly pubKey: string | null
  readonly outcome: Outcome | null
}

/** What a registration binds (table `node_incarnations`). */
export interface Identity {
  readonly incarnation: number
  readonly pubKey: string
  readonly processInfo: ProcessInfo
  readonly capabilities: ReadonlyArray<string>
  /** What its cancel hook may need, milliseconds; null: it does not say. */
  readonly cancelGraceMs: number | null
}

/** Actions that a node answers, and what its cancel hook may need. */
export interface Capable {
  readonly names: ReadonlyArray<string>
  readonly cancelGraceMs: number | null
}
