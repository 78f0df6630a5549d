export type Invariant = "P1 durable" | "P2 once" | "P4 one owner" | "P9 final" | "order" | "phantom" | "status"

export interface Violation {
  readonly invariant: Invariant
  readonly appId: string
  readonly what: string
}

export interface Verdict {
  readonly violations: ReadonlyArray<Violation>
  readonly sent: number
  readonly acked: number
  readonly stored: number
  /** Stored, and the client was never told: allowed. */
  readonly unacked: number
}

export type Report = (invariant: Invariant, what: string) => void
