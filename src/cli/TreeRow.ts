import { isEnded } from "../protocol/Ended.ts"
import type { NodeState } from "../protocol/Frames.ts"

/** How a node ended, or why it is given up for lost (docs/rest.md). */
export interface Outcome {
  readonly state: string
  readonly reason: string | null
  readonly forced?: boolean
  readonly payload: unknown
}

/** A node as `GET apps/{id}/tree` gives it, columns that are looked at here. */
export interface TreeRow {
  readonly app_id: string
  readonly parent_id: string | null
  readonly depth: number
  readonly app_name: string
  readonly status: string
  readonly snapshot: unknown
  readonly outcome: Outcome | null
  readonly created_at: string
  /** When its process registered. */
  readonly started_at: string | null
  readonly ended_at: string | null
  /** When the state ends by itself. */
  readonly deadline_at: string | null
  /** Host of the process. */
  readonly pod_name: string | null
  /** Kubernetes node. */
  readonly node_name: string | null
  readonly pid: number | string | null
}

/** A tree as the server answers it. */
export interface TreeAnswer {
  readonly items: ReadonlyArray<TreeRow>
  readonly cursor: string
  readonly truncated: boolean
  readonly total: number | null
  readonly unchanged: boolean
}

/** A row of a view has any text there; what is unknown has not ended. */
export const hasEnded = (status: string): boolean => isEnded(status as NodeState)

const FINAL: ReadonlySet<string> = new Set(["done", "error", "cancelled", "start_failed"])

/** States that never change. */
export const isFinal = (status: string): boolean => FINAL.has(status)
