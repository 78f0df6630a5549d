import type { NodeState } from "../../src/protocol/Frames.ts"
import type { Ledger, LedgerEntry } from "./Ledger.ts"
import { NodeTrail } from "./NodeTrail.ts"
import type { Stored, StoredRow } from "./Stored.ts"
import type { Report, Verdict, Violation } from "./Verdict.ts"

const key = (incarnation: number, seq: number): string => `${incarnation}/${seq}`

/** P1, and that nothing is stored that was not sent. */
const checkLedger = (entries: ReadonlyArray<LedgerEntry>, rows: ReadonlyArray<StoredRow>, report: Report): void => {
  const stored = new Map<string, string | null>()
  for (const row of rows) {
    if (row.seq !== null) stored.set(key(row.incarnation, row.seq), row.frame)
  }
  for (const entry of entries) {
    const id = key(entry.incarnation, entry.seq)
    const frame = stored.get(id)
    if (frame === undefined) {
      if (entry.acked) report("P1 durable", `${entry.kind} ${id} was acked and is not stored`)
    } else if (frame !== entry.text) report("P1 durable", `${entry.kind} ${id} is stored with other bytes`)
    else if (entry.refused !== null)
      report("status", `${entry.kind} ${id} was refused (${entry.refused}) and is stored`)
    stored.delete(id)
  }
  for (const id of stored.keys()) report("phantom", `${id} is stored and was never sent`)
}

/**
 * Compares what clients were told with what the database holds (DESIGN §8: P1, P2, P4, P9, order per node). `finals`:
 * nodes that were seen in a final state before, with that state.
 */
export const check = (
  ledgers: ReadonlyArray<Ledger>,
  stored: Stored,
  finals: ReadonlyMap<string, NodeState> = new Map()
): Verdict => {
  const violations: Array<Violation> = []
  const byNode = Map.groupBy(stored.rows, (row) => row.appId)
  let sent = 0
  let acked = 0
  let unacked = 0
  let count = 0
  for (const ledger of ledgers) {
    const report: Report = (invariant, what) => violations.push({ invariant, appId: ledger.appId, what })
    const rows = byNode.get(ledger.appId) ?? []
    const node = stored.nodes.get(ledger.appId)
    if (node === undefined) {
      if (ledger.entries.some((entry) => entry.acked))
        report("P1 durable", "messages were acked and the node is not stored")
      continue
    }
    const trail = new NodeTrail(report)
    for (const row of rows) trail.add(row)
    trail.close(node)
    checkLedger(ledger.entries, rows, report)
    const final = finals.get(ledger.appId)
    if (final !== undefined && node.status !== final) report("P9 final", `was ${final} and is ${node.status}`)
    const told = ledger.entries.filter((entry) => entry.acked).length
    sent += ledger.entries.length
    acked += told
    count += trail.data
    unacked += Math.max(0, trail.data - told)
  }
  return { violations, sent, acked, stored: count, unacked }
}

/** One line per violation, at most `limit` of them. */
export const describeViolations = (verdict: Verdict, limit = 20): string =>
  verdict.violations
    .slice(0, limit)
    .map((one) => `${one.invariant}: ${one.appId}: ${one.what}`)
    .join("\n")
