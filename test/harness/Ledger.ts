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

/** Keeps of each data frame what a checker needs, in place of the frames themselves: for runs of millions. */
export interface FrameBook {
  readonly sent: (entry: LedgerEntry) => void
  /** It was acked or refused for good. */
  readonly settled: (entry: LedgerEntry) => void
}
