import type { NodeState } from "./Frames.ts"

/** States that no event changes (PROTOCOL §7). */
export const FINAL = ["done", "error", "cancelled", "start_failed"] as const

const final: ReadonlySet<NodeState> = new Set(FINAL)

export const isFinal = (status: NodeState): boolean => final.has(status)
