import { Context, type Effect } from "effect"
import type { LogRow } from "./LogRow.ts"
import type { StoreError } from "./StoreError.ts"

export type TreeScope = "children" | "subtree"

/** A log row with its node's place at that time. The payload is in the frame. */
export interface TreeLogRow extends Omit<LogRow, "payload" | "bytes" | "traceparent"> {
  /** null: of a root. */
  readonly parentId: string | null
  readonly rootId: string
  /** Root first, the node itself last. */
  readonly path: ReadonlyArray<string>
  readonly appName: string
  readonly namespace: string
  /** The row's own trace context, else its node's. */
  readonly traceparent: string | null
}

export interface TreeLogPage {
  /** In commit order. */
  readonly rows: ReadonlyArray<TreeLogRow>
  /** There may be more behind the last row. False: there was nothing more when this was read. */
  readonly more: boolean
}

export interface LogHead {
  /** Id of the newest row that can be seen; 0 when there is none. */
  readonly newest: number
  /** The largest id ever drawn, at least `newest`: survives the retention of the log. */
  readonly drawn: number
}

/**
 * The log as those see it who watch nodes below them (PROTOCOL §11): rows of kind `refused` are not there, nor are the
 * ancestor's own. Ids are commit-ordered, so a reader that goes on after the last id it has seen misses nothing.
 */
export class TreeLog extends Context.Service<
  TreeLog,
  {
    /** Rows with id > after, at most `limit` and bounded in bytes too, but one at least. */
    readonly follow: (
      ancestor: string,
      scope: TreeScope,
      after: number,
      limit: number
    ) => Effect.Effect<TreeLogPage, StoreError>
    /** A node's own rows behind its n. */
    readonly own: (appId: string, n: number, limit: number) => Effect.Effect<TreeLogPage, StoreError>
    /** Of all nodes. */
    readonly all: (after: number, limit: number) => Effect.Effect<TreeLogPage, StoreError>
    readonly head: Effect.Effect<LogHead, StoreError>
    /**
     * The last ids of rows with after < id <= upTo below these nodes, by node; without those that have none. Its cost is
     * that of all rows in between.
     */
    readonly stirred: (
      ancestors: ReadonlyArray<string>,
      after: number,
      upTo: number
    ) => Effect.Effect<ReadonlyMap<string, number>, StoreError>
  }
>()("trails/storage/TreeLog") {}
