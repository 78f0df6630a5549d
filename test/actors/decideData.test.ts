import { describe, expect, it } from "vitest"
import { type DataRequest, decideData, EVIDENCE_LIMIT, suspects } from "../../src/actors/node/decideData.ts"
import { disconnect, message, nodeRow } from "./nodeRows.ts"

const decide = (patch: Partial<DataRequest> & Pick<DataRequest, "batch">) =>
  decideData({ row: nodeRow(), dialect: "v1", stored: new Map(), evidence: 0, commands: null, ...patch })

const verdicts = (plan: ReturnType<typeof decide>) =>
  plan.dispositions.map((d) => (d._tag === "Refused" ? `${d.seq} !${d.code}` : `${d.seq} ${d._tag}`))

describe("data frames of a v1 client (PROTOCOL §6)", () => {
  it("stores rising seqs, gaps allowed, in one write with the newest snapshot", () => {
    const plan = decide({ row: nodeRow({ status: "connected" }), batch: [message(6), message(9), message(10)] })
    expect(verdicts(plan)).toEqual(["6 Stored", "9 Stored", "10 Stored"])
    expect(plan.change).toMatchObject({
      hot: { status: "running", lastSeq: 10 },
      deadlineIn: "keep",
      snapshot: { seq: 10, payload: '{"seq":10}' }
    })
    expect(plan.change?.rows.map((row) => [row.kind, row.seq])).toEqual([
      ["status", 6],
      ["status", 9],
      ["status", 10]
    ])
  })

  it("P2: acks a stored seq again and does not store it again", () => {
    const again = message(5)
    const plan = decide({ batch: [again], stored: new Map([[5, again.raw]]) })
    expect(verdicts(plan)).toEqual(["5 Duplicate"])
    expect(plan.change).toBeNull()
  })

  it("P2: tells a repetition inside one batch", () => {
    const plan = decide({ batch: [message(6), message(6)] })
    expect(verdicts(plan)).toEqual(["6 Stored", "6 Duplicate"])
    expect(plan.change?.rows).toHaveLength(1)
  })

  it("refuses a stored seq with other bytes, also inside one batch", () => {
    const plan = decide({
      batch: [message(5, "Status", "{}"), message(6), message(6, "Status", "{}")],
      stored: new Map([[5, message(5).raw]])
    })
    expect(verdicts(plan)).toEqual(["5 !seq_conflict", "6 Stored", "6 !seq_conflict"])
    expect(plan.change?.rows).toHaveLength(1)
  })

  it("refuses a seq below the last that was never stored: an ack always means stored", () => {
    expect(verdicts(decide({ batch: [message(4)] }))).toEqual(["4 !seq_conflict"])
  })

  it("names the seqs to look up before", () => {
    expect(suspects(nodeRow(), [message(4), message(5), message(6), disconnect("done", null)])).toEqual([4, 5])
  })

  it("refuses another incarnation's frames", () => {
    expect(verdicts(decide({ batch: [message(6, "Status", "{}", 2)] }))).toEqual(["6 !superseded"])
  })

  it("the first terminal message wins; later ones are refused and kept as evidence without a seq (P9)", () => {
    const plan = decide({ batch: [message(6, "Result"), message(7, "Error"), message(8)] })
    expect(verdicts(plan)).toEqual(["6 Stored", "7 !terminal", "8 !terminal"])
    expect(plan.change).toMatchObject({
      hot: { status: "done", lastSeq: 6 },
      deadlineIn: null,
      outcome: { state: "done", payload: '{"seq":6}' }
    })
    expect(plan.change?.rows.map((row) => [row.kind, row.seq])).toEqual([
      ["result", 6],
      ["refused", null],
      ["refused", null]
    ])
  })

  it("evidence is bounded: the peer decides how many it provokes", () => {
    const batch = Array.from({ length: 50 }, (_, i) => message(10 + i))
    const plan = decide({ row: nodeRow({ status: "done" }), batch })
    expect(plan.change?.rows).toHaveLength(EVIDENCE_LIMIT)
    expect(plan.evidence).toBe(EVIDENCE_LIMIT)
  })

  it("a disconnect after a Result is stored, acked, and changes nothing", () => {
    const plan = decide({ row: nodeRow({ status: "done" }), batch: [disconnect("completed", 6)] })
    expect(verdicts(plan)).toEqual(["6 Stored"])
    expect(plan.change).toMatchObject({ hot: { status: "done", lastSeq: 6 } })
    expect(plan.change?.outcome).toBeUndefined()
    expect(plan.endsSession).toBe(true)
  })

  it.each([
    ["completed", "done", "result"],
    ["failed", "error", "error"],
    ["cancelled", "cancelled", "cancelled"],
    ["out of cheese", "error", "error"]
  ])("running + disconnect %s → %s, reason kept", (reason, status, kind) => {
    const plan = decide({ batch: [disconnect(reason, 6)] })
    expect(plan.change).toMatchObject({ hot: { status }, outcome: { state: status, reason }, rows: [{ kind, seq: 6 }] })
  })
})

describe("data frames of a legacy client (PROTOCOL §3)", () => {
  it("stores what comes out of order: duplicates are told by exact seq, not by a high-water mark", () => {
    const plan = decide({
      dialect: "legacy",
      batch: [message(4, "Status", "{}", null), message(5, "Status", "{}", null)],
      stored: new Map([[5, "other bytes"]])
    })
    expect(verdicts(plan)).toEqual(["4 Stored", "5 Duplicate"])
    expect(plan.change).toMatchObject({ hot: { lastSeq: 5 } })
  })

  it("takes a disconnect without a seq", () => {
    const plan = decide({ dialect: "legacy", batch: [disconnect("completed", null)] })
    expect(verdicts(plan)).toEqual(["null Stored"])
    expect(plan.change).toMatchObject({ hot: { status: "done", lastSeq: 5 } })
  })
})
