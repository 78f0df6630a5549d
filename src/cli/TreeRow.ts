import { isEnded } from "../protocol/Ended.ts"
import type { NodeState } from "../protocol/Frames.ts"
import type { Answered } from "./Answered.ts"

/** How a node ended, or why it is given up for lost (docs/rest.md). */
export interface Outcome {
  readonly state: string
  readonly reason: string | null
  readonly forced?: boolean
  readonly payload: unknown
}

export const readOutcome = (read: Answered): Outcome => ({
  state: read.text("state"),
  reason: read.optionalText("reason"),
  forced: read.fields["forced"] === true,
  payload: read.fields["payload"]
})

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

export const readTreeRow = (read: Answered): TreeRow => {
  const outcome = read.optionalObject("outcome")
  return {
    app_id: read.id("app_id"),
    parent_id: read.optionalId("parent_id"),
    depth: read.count("depth"),
    app_name: read.text("app_name"),
    status: read.text("status"),
    snapshot: read.fields["snapshot"],
    outcome: outcome === null ? null : readOutcome(outcome),
    created_at: read.text("created_at"),
    started_at: read.optionalText("started_at"),
    ended_at: read.optionalText("ended_at"),
    deadline_at: read.optionalText("deadline_at"),
    pod_name: read.optionalText("pod_name"),
    node_name: read.optionalText("node_name"),
    pid: read.optionalNumber("pid")
  }
}

/** A row of a view has any text there; what is unknown has not ended. */
export const hasEnded = (status: string): boolean => isEnded(status as NodeState)

const FINAL: ReadonlySet<string> = new Set(["done", "error", "cancelled", "start_failed"])

/** States that never change. */
export const isFinal = (status: string): boolean => FINAL.has(status)
