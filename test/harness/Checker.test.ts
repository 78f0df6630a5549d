import { describe, expect, it } from "vitest"
import { check } from "./Checker.ts"
import type { Stored, StoredRow } from "./Stored.ts"
import type { LedgerEntry } from "./Ledger.ts"

const entry = (seq: number, acked = true): LedgerEntry => ({
  incarnation: 1,
  seq,
  kind: "Status",
  text: `s${seq}`,
  acked,
  refused: null
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

const stored = (
  rows: ReadonlyArray<StoredRow>,
  over: Partial<{ status: "running" | "done"; epoch: number; n: number }> = {}
): Stored => ({
  rows,
  nodes: new Map([["a", { appId: "a", status: "running", epoch: 1, n: rows.length, ...over }]])
})

const found = (entries: ReadonlyArray<LedgerEntry>, state: Stored, finals = new Map()) =>
  check([{ appId: "a", entries }], state, finals).violations.map((one) => one.invariant)

describe("the checker", () => {
  it("is content with what was sent, acked and stored once in order", () => {
    expect(check([{ appId: "a", entries: [entry(1), entry(2), entry(3, false)] }], stored([row(1), row(2)]))).toEqual({
      violations: [],
      sent: 3,
      acked: 2,
      stored: 2,
      unacked: 0
    })
  })
  it("is content with a frame that is stored although its ack was lost", () => {
    expect(found([entry(1), entry(2, false)], stored([row(1), row(2)]))).toEqual([])
  })
  it("sees an acked frame that is missing (P1)", () => {
    expect(found([entry(1), entry(2)], stored([row(1)]))).toEqual(["P1 durable"])
  })
  it("sees acked frames of a node that is missing (P1)", () => {
    expect(found([entry(1)], { rows: [], nodes: new Map() })).toEqual(["P1 durable"])
  })
  it("sees other bytes under the same seq (P1)", () => {
    expect(found([entry(1)], stored([row(1, { frame: "S1" })]))).toEqual(["P1 durable"])
  })
  it("sees a frame that is stored twice (P2)", () => {
    expect(found([entry(1)], stored([row(1), row(2, { seq: 1, frame: "s1" })]))).toContain("P2 once")
  })
  it("sees an epoch that falls (P4)", () => {
    expect(found([entry(1), entry(2)], stored([row(1, { epoch: 2 }), row(2)], { epoch: 2 }))).toEqual(["P4 one owner"])
  })
  it("sees a Status behind the end (P9)", () => {
    expect(found([entry(1), entry(2)], stored([row(1, { kind: "result" }), row(2)], { status: "done" }))).toEqual([
      "P9 final"
    ])
  })
  it("sees a final state that has changed (P9)", () => {
    expect(found([entry(1)], stored([row(1)]), new Map([["a", "done"]]))).toEqual(["P9 final"])
    expect(found([entry(1)], stored([row(1, { kind: "result" })]))).toEqual(["P9 final"])
  })
  it("lets evidence and a farewell follow the end", () => {
    const rows = [
      row(1, { kind: "result" }),
      row(2, { kind: "refused", seq: null }),
      row(3, { kind: "refused", seq: 2, frame: "s2" })
    ]
    expect(found([entry(1), entry(2)], stored(rows, { status: "done" }))).toEqual([])
  })
  it("sees seqs out of order", () => {
    expect(
      found([entry(1), entry(2)], stored([row(1, { seq: 2, frame: "s2" }), row(2, { seq: 1, frame: "s1" })]))
    ).toContain("order")
  })
  it("sees a gap in the node's counter", () => {
    expect(found([entry(1), entry(2)], stored([row(1), row(3, { seq: 2, frame: "s2" })], { n: 2 }))).toContain("order")
  })
  it("sees a row that nobody sent", () => {
    expect(found([entry(1)], stored([row(1), row(2)]))).toEqual(["phantom"])
  })
})
