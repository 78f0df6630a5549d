import type { OutboxState } from "./Outbox.ts"

/** Where the last session of a node stood. */
export interface Place {
  readonly incarnation: number
  /** The highest that was verified: an older one is still nobody's (PROTOCOL §1). */
  readonly epoch: number
}

/**
 * What one process gives to another that goes on reporting for the same node: where its session stood, and what the server
 * has not acked. There is no secret in it; without the node's seed it is of no use.
 */
export interface HandOver {
  /** The envelope's base64. */
  readonly info: string
  /** Null: there was none yet. */
  readonly place: Place | null
  readonly outbox: OutboxState
}
