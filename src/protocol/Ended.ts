import type { NodeState } from "./Frames.ts"

/** States on which a waiter returns (PROTOCOL §7): the final ones, and the verdicts that proof of life can reopen. */
export const ENDED = ["done", "error", "cancelled", "start_failed", "crashed", "lost_contact"] as const

const ended: ReadonlySet<NodeState> = new Set(ENDED)

export const isEnded = (status: NodeState): boolean => ended.has(status)
