import type { OutboxState } from "./Outbox.ts"

/**
 * What one process gives to another that goes on reporting for the same node: where its session stood, and what the server
 * has not acked. There is no secret in it; without the node's seed it is of no use.
 */
export interface HandOver {
  /** The envelope's base64. */
  readonly info: string
  readonly incarnation: number
  /** The highest that was verified: an older one is still nobody's (PROTOCOL §1). */
  readonly epoch: number
  readonly outbox: OutboxState
}
