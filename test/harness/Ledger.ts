import type { ErrorCode } from "../../src/protocol/Frames.ts"

/** One data frame as the client knows it. */
export interface LedgerEntry {
  readonly incarnation: number
  readonly seq: number
  readonly kind: "Status" | "Result" | "Error" | "disconnect"
  /** The frame exactly as sent. */
  readonly text: string
  acked: boolean
  /** The code of a final refusal. */
  refused: ErrorCode | null
}

/** Everything that one node has sent and what it was told of it; the checker compares it with the database. */
export interface Ledger {
  readonly appId: string
  readonly entries: ReadonlyArray<LedgerEntry>
}
