import { Context, type Effect } from "effect"
import type { Level, NodeState } from "../protocol/Frames.ts"
import type { Outcome } from "./NodeRow.ts"
import type { StoreError } from "./StoreError.ts"

/** A payload's exact text where it is not left out for its size, and its bytes in UTF-8; null: there is none. */
export interface StoredText {
  readonly text: string | null
  readonly bytes: number
}

/** How a node stands: what who waits for its end wants to know. */
export interface Standing {
  readonly appId: string
  readonly appName: string
  readonly status: NodeState
  /** Counter of its log. */
  readonly n: number
  /** Epoch milliseconds; null unless `status` is an ended one. */
  readonly endedAt: number | null
  readonly outcome: Outcome | null
  /** The latest Status payload. */
  readonly snapshot: string | null
}

/** A node as its tree shows it. Times are epoch milliseconds of the database's clock. */
export interface TreeNode {
  readonly appId: string
  readonly parentId: string | null
  /** From the node that was asked for, which is 0. */
  readonly depth: number
  readonly appName: string
  readonly namespace: string
  readonly level: Level
  readonly tags: unknown
  readonly status: NodeState
  readonly snapshot: StoredText | null
  /** Without its payload. */
  readonly outcome: Omit<Outcome, "payload"> | null
  readonly payload: StoredText | null
  readonly createdAt: number
  /** When the present incarnation registered: reconnections do not change it. */
  readonly startedAt: number | null
  readonly connectedAt: number | null
  readonly disconnectedAt: number | null
  readonly endedAt: number | null
  readonly deadlineAt: number | null
  readonly hostname: string | null
  readonly nodeName: string | null
  readonly pid: number | null
  readonly executable: string | null
}

export interface TreeView {
  /** Parents before their children, siblings by birth. */
  readonly nodes: ReadonlyArray<TreeNode>
  /** How many there are, counted up to `COUNTED`; null when `nodes` are all. */
  readonly total: number | null
  /** Log id: whatever happened up to it is in `nodes`, and nothing that happened later. */
  readonly cursor: number
}

export interface Stir {
  readonly stirred: boolean
  /** Such a log id was never drawn here. */
  readonly foreign: boolean
  /** The node's own log counter, and the newest log id, at that moment. */
  readonly n: number
  readonly newest: number
}

export interface TreeBounds {
  /** Levels below the node. */
  readonly depth: number
  /** Nodes. */
  readonly limit: number
}

/** A larger payload is left out of a tree, and so are all after this many bytes of them. */
export const TREE_PAYLOAD = 64 * 1024
export const TREE_PAYLOADS = 8 * 1024 * 1024
export const COUNTED = 100_000

/**
 * Whole trees, and what those ask who wait on trees and nodes: one statement each, however many wait. In
 * memory for unit tests; both pass `test/storage/contract/treeQueries.ts`.
 */
export class TreeQueries extends Context.Service<
  TreeQueries,
  {
    readonly standing: (appId: string) => Effect.Effect<Standing | null, StoreError>
    /** Of many nodes, without payloads; those that do not exist are missing. */
    readonly moved: (
      appIds: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<string, Pick<Standing, "n" | "status">>, StoreError>
    /** Reads no more of the tree than it answers. null: no such node. */
    readonly tree: (appId: string, bounds: TreeBounds) => Effect.Effect<TreeView | null, StoreError>
    /** Whether anything has been logged at or below the node since the log id `after`. null: no such node. */
    readonly stirredSince: (appId: string, after: number) => Effect.Effect<Stir | null, StoreError>
  }
>()("trails/storage/TreeQueries") {}
