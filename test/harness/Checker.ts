import type { NodeState } from "../../src/protocol/Frames.ts"
import type { Ledger, LedgerEntry } from "./Ledger.ts"

/** What the checker needs of a row of the log. */
export interface StoredRow {
  readonly id: number
  readonly appId: string
  readonly n: number
  readonly epoch: number
  readonly incarnation: number
  /** null: the row holds no accepted frame of the child (ours, or evidence of a refused one). */
  readonly seq: number | null
  readonly kind: string
  readonly frame: string | null
}

export interface StoredNode {
  readonly appId: string
  readonly status: NodeState
  readonly epoch: number
  readonly n: number
}

/** The database at one moment, rows in id order. */
export interface Stored {
  readonly rows: ReadonlyArray<StoredRow>
  readonly nodes: ReadonlyMap<string, StoredNode>
}

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

const ENDS: ReadonlySet<string> = new Set(["result", "error", "cancelled", "start_failed"])
/** What may still be logged about a node that has ended. */
const AFTER_THE_END: ReadonlySet<string> = new Set(["refused", "control", "impostor", "reparented"])
const STATE_OF: Readonly<Record<string, NodeState>> = {
  result: "done",
  error: "error",
  cancelled: "cancelled",
  start_failed: "start_failed"
}

const key = (incarnation: number, seq: number): string => `${incarnation}/${seq}`

/** P4, P9, and the order of one node's rows; `rows` are those of the node, in id order. */
const checkRows = (
  node: StoredNode,
  rows: ReadonlyArray<StoredRow>,
  report: (i: Invariant, what: string) => void
): void => {
  let epoch = 0
  let ended: StoredRow | null = null
  const lastSeq = new Map<number, number>()
  const seen = new Set<string>()
  rows.forEach((row, index) => {
    if (row.n !== index + 1) report("order", `row ${row.id} has n ${row.n}, expected ${index + 1}`)
    if (row.epoch < epoch) report("P4 one owner", `row ${row.id} has epoch ${row.epoch} after ${epoch}`)
    epoch = Math.max(epoch, row.epoch)
    if (ended !== null && !AFTER_THE_END.has(row.kind)) {
      report("P9 final", `row ${row.id} (${row.kind}) follows the end in row ${ended.id} (${ended.kind})`)
    }
    if (ENDS.has(row.kind)) ended ??= row
    if (row.seq === null) return
    const id = key(row.incarnation, row.seq)
    if (seen.has(id))
      report("P2 once", `incarnation ${row.incarnation} seq ${row.seq} is stored again in row ${row.id}`)
    seen.add(id)
    if (row.seq <= (lastSeq.get(row.incarnation) ?? 0)) {
      report("order", `row ${row.id} has seq ${row.seq} after ${lastSeq.get(row.incarnation)}`)
    }
    lastSeq.set(row.incarnation, row.seq)
  })
  if (node.n !== rows.length) report("order", `node_status has n ${node.n}, the log ${rows.length} rows`)
  if (node.epoch < epoch) report("P4 one owner", `node_status has epoch ${node.epoch}, the log ${epoch}`)
  if (ended !== null && node.status !== STATE_OF[(ended as StoredRow).kind]) {
    report("P9 final", `the node is ${node.status} although its log ends with ${(ended as StoredRow).kind}`)
  }
}

/** P1, and that nothing is stored that was not sent. */
const checkLedger = (
  entries: ReadonlyArray<LedgerEntry>,
  rows: ReadonlyArray<StoredRow>,
  report: (i: Invariant, what: string) => void
): void => {
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
    const report = (invariant: Invariant, what: string) => violations.push({ invariant, appId: ledger.appId, what })
    const rows = byNode.get(ledger.appId) ?? []
    const node = stored.nodes.get(ledger.appId)
    if (node === undefined) {
      if (ledger.entries.some((entry) => entry.acked))
        report("P1 durable", "messages were acked and the node is not stored")
      continue
    }
    checkRows(node, rows, report)
    checkLedger(ledger.entries, rows, report)
    const final = finals.get(ledger.appId)
    if (final !== undefined && node.status !== final) report("P9 final", `was ${final} and is ${node.status}`)
    const dataRows = rows.filter((row) => row.seq !== null).length
    const told = ledger.entries.filter((entry) => entry.acked).length
    sent += ledger.entries.length
    acked += told
    count += dataRows
    unacked += Math.max(0, dataRows - told)
  }
  return { violations, sent, acked, stored: count, unacked }
}

/** One line per violation, at most `limit` of them. */
export const describeViolations = (verdict: Verdict, limit = 20): string =>
  verdict.violations
    .slice(0, limit)
    .map((one) => `${one.invariant}: ${one.appId}: ${one.what}`)
    .join("\n")
