import { Context, type Effect } from "effect"
import type { Level, NodeState } from "../protocol/Frames.ts"
import type { LogEntry, LogRow } from "./LogRow.ts"
import type { Capable, HotState, Identity, NodeRow, Outcome, SupervisionPolicy } from "./NodeRow.ts"
import type { StoreError } from "./StoreError.ts"

/** How a node has answered a command. */
export type CommandAnswer =
  | { readonly ack: true; readonly result: string | null }
  | { readonly ack: false; readonly error: string }

/** What a write says of a command of its node. The first answer stands, also against its expiry. */
export type CommandMark =
  | { readonly _tag: "Told"; readonly correlationId: string }
  | { readonly _tag: "Answered"; readonly correlationId: string; readonly answer: CommandAnswer }

/**
 * One compare-and-set on one node (DESIGN §2): succeeds only if epoch and n are still the expected ones, and then moves
 * n by `rows.length` (at least 1) and inserts the rows as n+1 … n+k, all in one statement.
 */
export interface NodeWrite {
  readonly appId: string
  readonly expected: { readonly epoch: number; readonly n: number }
  /** Fresh UUID per decision, the same for each repetition: tells my own ambiguous commit from somebody else's write. */
  readonly writeId: string
  readonly pathVersion: number
  /** The node's place at that version, root first, itself last. */
  readonly path: ReadonlyArray<string>
  readonly hot: HotState
  /** Milliseconds from the commit's `now()`; null clears the deadline; "keep" leaves it. */
  readonly deadlineIn: number | null | "keep"
  /** Exact JSON text of the newest Status payload with its seq; absent: unchanged. */
  readonly snapshot?: { readonly seq: number; readonly payload: string }
  /** Absent: unchanged. null: cleared (recovered). */
  readonly outcome?: Outcome | null
  /** Present when a registration binds a key. */
  readonly identity?: Identity
  readonly commands?: ReadonlyArray<CommandMark>
  /** What the present incarnation takes from now on. */
  readonly capable?: Capable
  readonly rows: ReadonlyArray<LogEntry>
}

export type WriteOutcome =
  /** Committed now, or found committed before under the same `writeId`. */
  | { readonly _tag: "Committed" }
  /** The row is not as expected: read it again. `epoch` differs: deposed. No such row: `exists` is false. */
  | { readonly _tag: "Missed"; readonly exists: boolean; readonly epoch: number; readonly n: number }
  /** This write alone is refused by the database (poison); the others of the batch are not harmed. */
  | { readonly _tag: "Poisoned"; readonly message: string }

/** What a birth's transaction has seen under its locks, before it decides. */
export interface BirthFacts {
  /** null for a root, or when the parent is not known. */
  readonly parent: NodeRow | null
  /** A sealed id on the parent's path, if any (DESIGN §4: read in a second statement). */
  readonly sealedBy: string | null
  /** Always null: a node that exists already is answered `Exists`, and `decide` is not asked. */
  readonly existing: NodeRow | null
  /** The node named by `replaces`, if asked for and known. */
  readonly replaced: NodeRow | null
}

/** A new node. Path, namespace and originator of a non-root are the parent's: the store copies them. */
export interface Birth {
  readonly appName: string
  /** Of a root; ignored otherwise. */
  readonly namespace: string
  readonly level: Level
  readonly envelope: string | null
  readonly originator: unknown
  readonly roleRefs: ReadonlyArray<string>
  readonly grants: ReadonlyArray<unknown>
  readonly tags: unknown
  readonly supervision: SupervisionPolicy
  readonly childKey: string | null
  readonly ticketHash: string | null
  readonly traceparent: string | null
  /** Seconds; 0 = none. */
  readonly startDeadline: number
  readonly scheduledAt: number
  readonly hot: HotState
  readonly deadlineIn: number | null
  readonly outcome: Outcome | null
  readonly identity?: Identity
  readonly rows: ReadonlyArray<LogEntry>
}

export type BirthDecision<R> =
  | { readonly _tag: "Bear"; readonly birth: Birth; readonly replace?: NodeWrite }
  | { readonly _tag: "Refuse"; readonly refusal: R }

export type BirthOutcome<R> =
  | { readonly _tag: "Born"; readonly row: NodeRow }
  /** It exists: possibly by my own ambiguous commit (compare `row.writeId`). */
  | { readonly _tag: "Exists"; readonly row: NodeRow }
  | { readonly _tag: "Refused"; readonly refusal: R }

export interface BirthRequest<R> {
  readonly appId: string
  readonly parentId: string | null
  readonly replaces: string | null
  readonly writeId: string
  /** Pure; may run again when the transaction is repeated. */
  readonly decide: (facts: BirthFacts) => BirthDecision<R>
}

/** A stored child frame, for telling a repetition from a conflict. */
export interface StoredFrame {
  readonly seq: number
  readonly frame: string
}

/** A key of `node_incarnations`; times in epoch milliseconds of the database's clock. */
export interface BoundKey {
  readonly pubKey: string
  readonly from: number
  /** null: still bound. */
  readonly to: number | null
}

/** What the sweep finds due. */
export interface DueNode {
  readonly appId: string
  readonly status: NodeState
  readonly owner: string | null
}

/**
 * What `due` admits, besides: while a replica that lives holds verdicts back (`ReplicaStore.holdVerdicts`), only `scheduled`
 * nodes. An absent member admits all. In SQL, not after it: nodes held back must not fill the batch.
 */
export interface DueFilter {
  readonly status?: "scheduled"
  /** Only deadlines that passed less than this many milliseconds ago. */
  readonly withinMs?: number
}

/**
 * Truth about nodes (DESIGN §4). `PgNodeStore.ts` implements it on `Database`; `MemoryNodeStore.ts` for unit tests.
 * All of them pass `test/storage/nodeStoreContract.ts`.
 */
export class NodeStore extends Context.Service<
  NodeStore,
  {
    /** Lanes that `append` may run on side by side: a node always by the same one. */
    readonly lanes: number
    /**
     * Applies a batch in one set-based statement; outcomes in the order of `writes` (at most one write per node). A batch
     * that Postgres refuses is bisected. StoreError `Unavailable`/`Timeout`: ambiguous, repeat with the same writeIds.
     */
    readonly append: (
      lane: number,
      writes: ReadonlyArray<NodeWrite>
    ) => Effect.Effect<ReadonlyArray<WriteOutcome>, StoreError>
    readonly birth: <R>(request: BirthRequest<R>) => Effect.Effect<BirthOutcome<R>, StoreError>
    readonly read: (appId: string) => Effect.Effect<NodeRow | null, StoreError>
    /** Keys that were ever bound to the node, oldest first, with their validity (PROTOCOL §5: "valid at that time"). */
    readonly keys: (appId: string) => Effect.Effect<ReadonlyArray<BoundKey>, StoreError>
    /** The child frames stored for these seqs of one incarnation. */
    readonly storedFrames: (
      appId: string,
      incarnation: number,
      seqs: ReadonlyArray<number>
    ) => Effect.Effect<ReadonlyArray<StoredFrame>, StoreError>
    /**
     * Log rows with id > after, in id order: the follower's read. Bounded in bytes too, so that fewer than `limit` rows
     * do not mean the end; none do.
     */
    readonly follow: (after: number, limit: number) => Effect.Effect<ReadonlyArray<LogRow>, StoreError>
    /** Nodes whose deadline has passed by the database's clock and that the filter admits, earliest first. */
    readonly due: (limit: number, filter?: DueFilter) => Effect.Effect<ReadonlyArray<DueNode>, StoreError>
    /** Ids, ascending and above `after`, of the nodes whose session this boot holds by their row. */
    readonly owned: (
      boot: string,
      after: string | null,
      limit: number
    ) => Effect.Effect<ReadonlyArray<string>, StoreError>
    /** Nodes in a state with a session whose owner was reaped (`ReplicaStore.reapExpired`, `release`) or is gone. */
    readonly orphaned: (limit: number) => Effect.Effect<ReadonlyArray<DueNode>, StoreError>
  }
>()("trails/storage/NodeStore") {}
