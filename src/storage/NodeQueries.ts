import { Context, type Effect } from "effect"
import type { NodeState } from "../protocol/Frames.ts"
import type { LogRow } from "./LogRow.ts"
import type { Row } from "./Database.ts"
import type { StoreError } from "./StoreError.ts"

export interface Page {
  /** At most 1000. */
  readonly limit: number
  /**
   * The last row's key of the page before: `app_id` for apps and children, `id` for crashes (newest first). null for
   * the first page.
   */
  readonly after: string | null
}

export interface AppFilter {
  readonly status?: NodeState
  readonly namespace?: string
  readonly parentId?: string
  /** Only roots. */
  readonly roots?: boolean
  readonly name?: string
  /** Ids that begin so: 1 to 32 lower-case hexadecimal digits. */
  readonly prefix?: string
  /** Together with `roots` alone: the latest first. Absent: by id. */
  readonly newest?: true
}

/** What a node was born with. */
export interface StoredBirth {
  /** Its envelope as JSON text, verbatim; null when it came without one. */
  readonly envelope: string | null
  /** As it is now. */
  readonly status: NodeState
}

/** Read side for REST and people; may run on DATABASE_READ_URL later. Rows are those of the views of PROTOCOL §12. */
export class NodeQueries extends Context.Service<
  NodeQueries,
  {
    readonly apps: (filter: AppFilter, page: Page) => Effect.Effect<ReadonlyArray<Row>, StoreError>
    readonly app: (appId: string) => Effect.Effect<Row | null, StoreError>
    readonly children: (appId: string, page: Page) => Effect.Effect<ReadonlyArray<Row>, StoreError>
    /** By the node's counter n. Bounded in bytes too: fewer than `limit` rows do not mean the end; none do. */
    readonly log: (appId: string, afterN: number, limit: number) => Effect.Effect<ReadonlyArray<LogRow>, StoreError>
    readonly crashes: (page: Page) => Effect.Effect<ReadonlyArray<Row>, StoreError>
    /** Living nodes with an ancestor that has ended: rows of `apps` with the nearest of those as `ended_ancestor`. */
    readonly orphans: (page: Page) => Effect.Effect<ReadonlyArray<Row>, StoreError>
    readonly birth: (appId: string) => Effect.Effect<StoredBirth | null, StoreError>
  }
>()("trails/storage/NodeQueries") {}
