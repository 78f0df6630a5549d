import type { NodeState } from "../../src/protocol/Frames.ts"
import { BitSet } from "./BitSet.ts"
import type { StoredNode, StoredRow } from "./Stored.ts"
import type { Report } from "./Verdict.ts"

const STATE_OF: Readonly<Record<string, NodeState>> = {
  result: "done",
  error: "error",
  cancelled: "cancelled",
  start_failed: "start_failed"
}
/** What may still be logged about a node that has ended. */
const AFTER_THE_END: ReadonlySet<string> = new Set(["refused", "control", "impostor", "reparented"])

interface Seqs {
  readonly stored: BitSet
  last: number
}

/**
 * The rows of one node, one after the other in the order of their ids: P2, P4, P9, and their order. It keeps a bit per row, so
 * that a log of millions can be read by pages.
 */
export class NodeTrail {
  readonly #report: Report
  readonly #seqs = new Map<number, Seqs>()
  #rows = 0
  #data = 0
  #epoch = 0
  #end: { readonly id: number; readonly kind: string } | null = null

  constructor(report: Report) {
    this.#report = report
  }

  /** Rows that hold an accepted frame of the child. */
  get data(): number {
    return this.#data
  }

  add({ epoch, id, incarnation, kind, n, seq }: StoredRow): void {
    this.#rows++
    if (n !== this.#rows) this.#report("order", `row ${id} has n ${n}, expected ${this.#rows}`)
    if (epoch < this.#epoch) this.#report("P4 one owner", `row ${id} has epoch ${epoch} after ${this.#epoch}`)
    this.#epoch = Math.max(this.#epoch, epoch)
    const end = this.#end
    if (end !== null && !AFTER_THE_END.has(kind)) {
      this.#report("P9 final", `row ${id} (${kind}) follows the end in row ${end.id} (${end.kind})`)
    }
    if (kind in STATE_OF) this.#end ??= { id, kind }
    if (seq === null) return
    this.#data++
    const seqs = this.#seqs.get(incarnation) ?? { stored: new BitSet(), last: 0 }
    this.#seqs.set(incarnation, seqs)
    if (!seqs.stored.add(seq)) {
      this.#report("P2 once", `incarnation ${incarnation} seq ${seq} is stored again in row ${id}`)
    }
    if (seq <= seqs.last) this.#report("order", `row ${id} has seq ${seq} after ${seqs.last}`)
    seqs.last = seq
  }

  has(incarnation: number, seq: number): boolean {
    return this.#seqs.get(incarnation)?.stored.has(seq) ?? false
  }

  /** All of its rows were added: what the node's own row says has to agree. */
  close(node: StoredNode): void {
    if (node.n !== this.#rows) this.#report("order", `node_status has n ${node.n}, the log ${this.#rows} rows`)
    if (node.epoch < this.#epoch) {
      this.#report("P4 one owner", `node_status has epoch ${node.epoch}, the log ${this.#epoch}`)
    }
    const end = this.#end
    if (end !== null && node.status !== STATE_OF[end.kind]) {
      this.#report("P9 final", `the node is ${node.status} although its log ends with ${end.kind}`)
    }
  }
}
