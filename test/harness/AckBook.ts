import { crc32 } from "node:zlib"
import { BitSet } from "./BitSet.ts"
import type { StoredRow } from "./Stored.ts"
import type { FrameBook, LedgerEntry } from "./Ledger.ts"
import type { Report } from "./Verdict.ts"

interface Page {
  /** Of the frame's text, by seq. */
  sums: Uint32Array
  readonly sent: BitSet
  readonly acked: BitSet
  readonly refused: BitSet
  readonly stored: BitSet
}

/**
 * What a client sent and what it was told of it, without the texts: five bytes per frame. Compared with the rows as they are
 * read: P1, and that nothing is stored that was not sent or was refused.
 */
export class AckBook implements FrameBook {
  readonly #pages = new Map<number, Page>()

  get acked(): number {
    return this.#sum((page) => page.acked.size)
  }

  get frames(): number {
    return this.#sum((page) => page.sent.size)
  }

  /** Stored, and the client was never told: allowed. */
  get unacked(): number {
    return this.#sum((page) => page.stored.size - page.acked.size)
  }

  sent({ incarnation, seq, text }: LedgerEntry): void {
    const page = this.#page(incarnation)
    if (seq >= page.sums.length) {
      const more = new Uint32Array(Math.max(seq + 1, page.sums.length * 2))
      more.set(page.sums)
      page.sums = more
    }
    page.sums[seq] = crc32(text)
    page.sent.add(seq)
  }

  settled({ acked, incarnation, seq }: LedgerEntry): void {
    const page = this.#page(incarnation)
    if (acked) page.acked.add(seq)
    else page.refused.add(seq)
  }

  /** A row with an accepted frame. */
  compare(row: StoredRow, report: Report): void {
    const { frame, incarnation, seq } = row
    if (seq === null) return
    const page = this.#page(incarnation)
    const id = `${incarnation}/${seq}`
    if (!page.sent.has(seq)) return report("phantom", `${id} is stored and was never sent`)
    page.stored.add(seq)
    if (frame === null || crc32(frame) !== page.sums[seq]) report("P1 durable", `${id} is stored with other bytes`)
    else if (page.refused.has(seq)) report("status", `${id} was refused and is stored`)
  }

  /** All rows were compared. */
  close(report: Report): void {
    for (const [incarnation, { acked, stored, sums }] of this.#pages) {
      for (let seq = 0; seq < sums.length; seq++) {
        if (acked.has(seq) && !stored.has(seq)) {
          report("P1 durable", `${incarnation}/${seq} was acked and is not stored`)
        }
      }
    }
  }

  #page(incarnation: number): Page {
    const known = this.#pages.get(incarnation)
    if (known !== undefined) return known
    const page: Page = {
      sums: new Uint32Array(64),
      sent: new BitSet(),
      acked: new BitSet(),
      refused: new BitSet(),
      stored: new BitSet()
    }
    this.#pages.set(incarnation, page)
    return page
  }

  #sum(of: (page: Page) => number): number {
    let sum = 0
    for (const page of this.#pages.values()) sum += of(page)
    return sum
  }
}
