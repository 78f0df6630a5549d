import { describe, expect, it } from "vitest"
import { AckBook } from "./AckBook.ts"
import { BitSet } from "./BitSet.ts"
import type { LedgerEntry } from "./Ledger.ts"
import { LogChecker } from "./LogChecker.ts"
import type { StoredNode, StoredRow } from "./Stored.ts"
import { TallyBook } from "./TallyBook.ts"

const entry = (seq: number, over: Partial<LedgerEntry> = {}): LedgerEntry => ({
  incarnation: 1,
  seq,
  kind: "Status",
  text: `s${seq}`,
  acked: true,
  refused: null,
  ...over
})

const row = (n: number, over: Partial<StoredRow> = {}): StoredRow => ({
  id: n * 10,
  appId: "a",
  n,
  epoch: 1,
  incarnation: 1,
  seq: n,
  kind: "status",
  frame: `s${n}`,
  ...over
})

const nodeOf = (rows: number, over: Partial<StoredNode> = {}): ReadonlyMap<string, StoredNode> =>
  new Map([["a", { appId: "a", status: "running", epoch: 1, n: rows, ...over }]])

const bookOf = (...entries: ReadonlyArray<LedgerEntry>): AckBook => {
  const book = new AckBook()
  for (const one of entries) {
    book.sent(one)
    if (one.acked || one.refused !== null) book.settled(one)
  }
  return book
}

const found = (
  book: AckBook | TallyBook,
  rows: ReadonlyArray<StoredRow>,
  nodes = nodeOf(rows.length),
  finals = new Map()
) => {
  const checker = new LogChecker(new Map([["a", book]]))
  // A page a row.
  for (const one of rows) checker.add([one])
  return checker.close(nodes, finals).violations.map(({ invariant }) => invariant)
}

describe("a log that comes by pages", () => {
  it("is right when all that was acked is there once, in order, an ack that got lost included", () => {
    const checker = new LogChecker(new Map([["a", bookOf(entry(1), entry(2), entry(3, { acked: false }))]]))
    checker.add([row(1), row(2)])
    checker.add([row(3)])
    expect(checker.close(nodeOf(3))).toEqual({ violations: [], sent: 3, acked: 2, unacked: 1, stored: 3 })
  })
  it("lacks a frame that was acked (P1)", () => {
    expect(found(bookOf(entry(1), entry(2)), [row(1)])).toEqual(["P1 durable"])
    expect(found(bookOf(entry(1)), [], new Map())).toEqual(["P1 durable"])
  })
  it("has other bytes under the same seq (P1)", () => {
    expect(found(bookOf(entry(1)), [row(1, { frame: "S1" })])).toEqual(["P1 durable"])
  })
  it("has a frame twice (P2)", () => {
    expect(found(bookOf(entry(1)), [row(1), row(2, { seq: 1, frame: "s1" })])).toContain("P2 once")
  })
  it("has an epoch that falls (P4)", () => {
    const rows = [row(1, { epoch: 2 }), row(2)]
    expect(found(bookOf(entry(1), entry(2)), rows, nodeOf(2, { epoch: 2 }))).toEqual(["P4 one owner"])
  })
  it("goes on behind an end (P9)", () => {
    const rows = [row(1, { kind: "result" }), row(2)]
    expect(found(bookOf(entry(1), entry(2)), rows, nodeOf(2, { status: "done" }))).toEqual(["P9 final"])
  })
  it("is of a node whose final state has changed (P9)", () => {
    expect(found(bookOf(entry(1)), [row(1)], nodeOf(1), new Map([["a", "done"]]))).toEqual(["P9 final"])
  })
  it("has a gap in a node's counter, also of one without a book", () => {
    expect(found(bookOf(), [row(1, { seq: null }), row(3, { seq: null })], nodeOf(2))).toContain("order")
    const checker = new LogChecker(new Map())
    checker.add([row(2)])
    expect(checker.close(nodeOf(1)).violations.map(({ invariant }) => invariant)).toEqual(["order"])
  })
  it("has what nobody sent, or what was refused", () => {
    expect(found(bookOf(entry(1)), [row(1), row(2)])).toEqual(["phantom"])
    expect(found(bookOf(entry(1, { acked: false, refused: "seq_conflict" })), [row(1)])).toEqual(["status"])
  })
})

describe("reports of the client library, by number", () => {
  const report = (n: number, k: number) => row(n, { frame: JSON.stringify({ payload: { k } }) })
  const tally = (sent: number, acked: number): TallyBook => {
    const book = new TallyBook()
    for (let i = 0; i < sent; i++) book.next()
    book.settled(acked)
    return book
  }

  it("are right when the first so many are there once, in order", () => {
    expect(found(tally(3, 2), [report(1, 1), report(2, 2)])).toEqual([])
    expect(found(tally(3, 2), [report(1, 1), report(2, 2), report(3, 3)])).toEqual([])
  })
  it("lack one that was acked (P1)", () => expect(found(tally(2, 2), [report(1, 1)])).toEqual(["P1 durable"]))
  it("have one twice (P2)", () => {
    expect(found(tally(2, 2), [report(1, 1), report(2, 2), report(3, 2)])).toEqual(["P2 once"])
  })
  it("are out of order", () => expect(found(tally(2, 2), [report(1, 2), report(2, 1)])).toEqual(["order"]))
  it("have one that was never sent", () =>
    expect(found(tally(1, 1), [report(1, 1), report(2, 2)])).toEqual(["phantom"]))
})

it("a million acks of 100 nodes are kept in 20 MB", () => {
  const nodes = 100
  const frames = 10_000
  const before = process.memoryUsage().arrayBuffers
  const books = Array.from({ length: nodes }, () => new AckBook())
  for (let seq = 1; seq <= frames; seq++) {
    const one = entry(seq)
    for (const book of books) {
      book.sent(one)
      book.settled(one)
    }
  }
  expect(books.reduce((sum, { acked }) => sum + acked, 0)).toBe(nodes * frames)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024)
})

it("a set of numbers has what was added, once", () => {
  const set = new BitSet()
  expect([0, 31, 32, 1000, 32].map((number) => set.add(number))).toEqual([true, true, true, true, false])
  expect([0, 1, 31, 32, 33, 1000, 5000].filter((number) => set.has(number))).toEqual([0, 31, 32, 1000])
  expect(set.size).toBe(4)
})
