import { BitSet } from "./BitSet.ts"
import type { StoredRow } from "./Stored.ts"
import type { Report } from "./Verdict.ts"

/**
 * What a node of the client library reported: Status payloads `{k: 1}`, `{k: 2}` … in this order. The library tells how many
 * frames were acked, and acks cover them in order: the first so many have to be stored, each once.
 */
export class TallyBook {
  readonly #stored = new BitSet()
  #sent = 0
  #last = 0
  #acked = 0

  /** The next payload. */
  next(): { readonly k: number } {
    return { k: ++this.#sent }
  }

  get frames(): number {
    return this.#sent
  }

  get acked(): number {
    return this.#acked
  }

  get unacked(): number {
    return this.#stored.size - this.#acked
  }

  /** As many were acked. */
  settled(acked: number): void {
    this.#acked = acked
  }

  compare(row: StoredRow, report: Report): void {
    if (row.kind !== "status" || row.frame === null) return
    const { payload } = JSON.parse(row.frame) as { readonly payload: { readonly k: number } }
    const { k } = payload
    if (!(k >= 1 && k <= this.#sent)) return report("phantom", `report ${k} is stored and was never sent`)
    if (!this.#stored.add(k)) report("P2 once", `report ${k} is stored again in row ${row.id}`)
    else if (k < this.#last) report("order", `report ${k} is stored after ${this.#last}`)
    this.#last = Math.max(this.#last, k)
  }

  close(report: Report): void {
    for (let k = 1; k <= this.#acked; k++) {
      if (!this.#stored.has(k)) report("P1 durable", `report ${k} was acked and is not stored`)
    }
  }
}
