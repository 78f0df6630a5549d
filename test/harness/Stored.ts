import type { NodeState } from "../../src/protocol/Frames.ts"

/** What the checker needs of a row of the log. */
export interface StoredRow {
  readonly id: number
  readonly appId: string
  readonly n: number
  readonly epoch: number
  readonly incarnation: number
  /** null: the row holds no accepted frame of the child (ours, or evidence of a refused one). */
  readonly seq: number | null
  readonly kind: string
  readonly frame: string | null
}

export interface StoredNode {
  readonly appId: string
  readonly status: NodeState
  readonly epoch: number
  readonly n: number
}

/** The database at one moment, rows in id order. */
export interface Stored {
  readonly rows: ReadonlyArray<StoredRow>
  readonly nodes: ReadonlyMap<string, StoredNode>
}
