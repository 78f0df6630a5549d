import type { NodeState } from "../../src/protocol/Frames.ts"
import type { StoredNode, StoredRow } from "./Stored.ts"
import { NodeTrail } from "./NodeTrail.ts"
import type { Report, Verdict, Violation } from "./Verdict.ts"

/** What one client knows of what it sent; `AckBook` and `TallyBook` are. */
export interface ClientBook {
  readonly frames: number
  readonly acked: number
  readonly unacked: number
  readonly compare: (row: StoredRow, report: Report) => void
  readonly close: (report: Report) => void
}

/** So many violations are kept: one fault of the server may have a million of them. */
const KEPT = 200

/**
 * The check of `Checker.ts` for a log of millions of rows, which comes by pages in the order of the ids. Every node of the log
 * is checked for itself, those with a book against what their client was told.
 */
export class LogChecker {
  readonly #books: ReadonlyMap<string, ClientBook>
  readonly #trails = new Map<string, NodeTrail>()
  readonly #violations: Array<Violation> = []
  #stored = 0

  constructor(books: ReadonlyMap<string, ClientBook>) {
    this.#books = books
  }

  add(page: ReadonlyArray<StoredRow>): void {
    for (const row of page) {
      let trail = this.#trails.get(row.appId)
      if (trail === undefined) {
        trail = new NodeTrail(this.#reporter(row.appId))
        this.#trails.set(row.appId, trail)
      }
      trail.add(row)
      if (row.seq !== null) this.#stored++
      this.#books.get(row.appId)?.compare(row, this.#reporter(row.appId))
    }
  }

  /** `finals`: nodes that were seen in a final state before, with that state. */
  close(nodes: ReadonlyMap<string, StoredNode>, finals: ReadonlyMap<string, NodeState> = new Map()): Verdict {
    for (const [appId, node] of nodes) {
      const report = this.#reporter(appId)
      const trail = this.#trails.get(appId) ?? new NodeTrail(report)
      trail.close(node)
      const final = finals.get(appId)
      if (final !== undefined && node.status !== final) report("P9 final", `was ${final} and is ${node.status}`)
    }
    const sums = { sent: 0, acked: 0, unacked: 0 }
    for (const [appId, book] of this.#books) {
      book.close(this.#reporter(appId))
      sums.sent += book.frames
      sums.acked += book.acked
      sums.unacked += book.unacked
    }
    return { violations: this.#violations, ...sums, stored: this.#stored }
  }

  #reporter(appId: string): Report {
    return (invariant, what) => {
      if (this.#violations.length < KEPT) this.#violations.push({ invariant, appId, what })
    }
  }
}
