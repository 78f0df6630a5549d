import { hasEnded } from "./TreeRow.ts"

/** Exit codes of `trails wait`, the better first; of several nodes the highest counts. */
export const WAIT_EXIT = {
  done: 0,
  error: 1,
  crashed: 2,
  lost_contact: 2,
  timeout: 3,
  cancelled: 4,
  start_failed: 5
} as const

/** Of a node in this state; one that has not ended was waited for in vain. */
export const waitExit = (status: string): number =>
  hasEnded(status) ? (WAIT_EXIT[status as keyof typeof WAIT_EXIT] ?? WAIT_EXIT.timeout) : WAIT_EXIT.timeout
