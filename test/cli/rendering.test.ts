import { describe, expect, it } from "vitest"
import { elementTexts, memberText } from "../../src/cli/JsonSlice.ts"
import type { Canvas } from "../../src/cli/NodeText.ts"
import { plain } from "../../src/cli/Paint.ts"
import { payloadText } from "../../src/cli/PayloadText.ts"
import { printable, printableJson, printableLine } from "../../src/cli/Printable.ts"
import { cutToWidth, textWidth } from "../../src/cli/TextWidth.ts"
import { clockText, durationText } from "../../src/cli/TimeText.ts"
import { answerLines, treeLines } from "../../src/cli/TreeDrawing.ts"
import type { TreeRow } from "../../src/cli/TreeRow.ts"

const NOW = Date.parse("2026-01-02T03:04:05Z")
const ago = (ms: number) => new Date(NOW - ms).toISOString()

const row = (digit: string, fields: Partial<TreeRow> = {}): TreeRow => ({
  app_id: `${digit.repeat(8)}-0000-4000-8000-000000000000`,
  parent_id: null,
  depth: 0,
  app_name: `node-${digit}`,
  status: "running",
  snapshot: null,
  outcome: null,
  created_at: ago(60_000),
  started_at: ago(5200),
  ended_at: null,
  deadline_at: null,
  pod_name: "host",
  node_name: null,
  pid: 42,
  ...fields
})

const below = (parent: TreeRow, digit: string, fields: Partial<TreeRow> = {}) =>
  row(digit, { parent_id: parent.app_id, depth: parent.depth + 1, ...fields })

const canvas: Canvas = { paint: plain, width: null, now: NOW }

describe("a tree", () => {
  it("has branches, state, progress, duration and place in a line each", () => {
    const root = row("a", { snapshot: { step: 3, of: 10 } })
    const done = below(root, "b", {
      status: "done",
      ended_at: ago(3200),
      outcome: { state: "done", reason: null, payload: { exit_code: 0, peak_rss_kb: 2048 } }
    })
    const failed = below(root, "d", {
      status: "error",
      ended_at: ago(5100),
      outcome: { state: "error", reason: null, payload: { exit_code: 3, stderr_tail: "a\nboom\n" } }
    })
    const leaf = below(done, "c", {
      status: "scheduled",
      started_at: null,
      pod_name: null,
      pid: null,
      deadline_at: ago(-90_000)
    })
    expect(treeLines([root, done, leaf, failed], canvas)).toEqual([
      "aaaaaaaa node-a  ● running  3/10  5.2s  host pid 42",
      "├─ bbbbbbbb node-b  ✓ done  exit 0 · 2 MiB  2.0s  host pid 42",
      "│  └─ cccccccc node-c  ○ scheduled  must start within 1m30s",
      "└─ dddddddd node-d  ✗ error  exit 3 · boom  100ms  host pid 42"
    ])
  })

  it("says why a node is lost, was cancelled or never started", () => {
    const outcome = (reason: string, forced = false) => ({ state: "", reason, forced, payload: null })
    const lines = treeLines(
      [
        row("a", {
          status: "crashed",
          ended_at: ago(0),
          outcome: outcome("connection_drop"),
          snapshot: { percent: 41.26 }
        }),
        row("b", { status: "cancelled", ended_at: ago(0), outcome: outcome("superseded", true) }),
        row("c", { status: "start_failed", started_at: null, outcome: outcome("never_started") }),
        row("d", { status: "reconnecting", deadline_at: ago(-1200), pod_name: "pod-1", node_name: "worker-7" })
      ],
      canvas
    )
    expect(lines[0]).toContain("✗ crashed  connection_drop · 41.3%  5.2s")
    expect(lines[1]).toContain("⊘ cancelled  superseded · forced")
    expect(lines[2]).toContain("✗ start_failed  never_started")
    expect(lines[3]).toContain("◌ reconnecting  given up in 1.2s  5.2s  pod-1 on worker-7 pid 42")
  })

  it("fits into the terminal, wide characters counted double", () => {
    const root = row("a", { app_name: "名前".repeat(9), snapshot: { a: "x".repeat(300) } })
    for (const width of [8, 20, 60, 100, 140]) {
      for (const line of treeLines([root, below(root, "b", { snapshot: "長い".repeat(90) })], { ...canvas, width }))
        expect(textWidth(line)).toBeLessThanOrEqual(width)
    }
    const [line] = treeLines([root], { ...canvas, width: 100 })
    expect(line).toMatch(/…  5\.2s  host pid 42$/)
  })

  it("lets nothing of a stranger's through that a terminal obeys", () => {
    const evil = "\u001b[2J\u009b31m\u202etxt.exe\r\n\u0007"
    const lines = treeLines(
      [row("a", { app_name: evil, status: evil, pod_name: evil, snapshot: { message: evil } })],
      canvas
    )
    expect(lines).toHaveLength(1)
    expect(lines[0]).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(lines[0]).toContain("\\u001b[2J\\u009b31m\\u202etxt.exe\\r\\n\\u0007")
  })

  it("says how much of it is not shown, and starts anew where a parent is not known", () => {
    const orphan = below(row("a"), "b")
    const answer = { items: [orphan], cursor: "1", truncated: true, total: 7, unchanged: false }
    expect(answerLines(answer, canvas)).toEqual([expect.stringMatching(/^bbbbbbbb/), "… and 6 nodes more"])
  })
})

describe("payloads in few words", () => {
  it.for([
    [null, ""],
    ["text", "text"],
    [7, "7"],
    [[1, 2], "[1,2]"],
    [{ percent: 40 }, "40%"],
    [{ progress: 0.421 }, "42.1%"],
    [{ progress: 42, message: "half" }, "42% · half"],
    [{ step: 2, of: 5, text: "load" }, "2/5 · load"],
    [{ exit_code: 0, peak_rss_kb: 2048, result: { rows: 3 } }, 'exit 0 · 2 MiB · {"rows":3}'],
    [{ exit_code: 1, message: "exit code 1", error: { message: "no space" }, stderr_tail: "x" }, "exit 1 · no space"],
    [{ step: "load" }, "step load"],
    [{ state: "started", pid: 7 }, "started"],
    [{ message: "exit code 3", exit_code: 3, stderr_tail: "a\nno space\n \n" }, "exit 3 · no space"],
    [{ message: "exit code 3", exit_code: 3, stderr_tail: "" }, "exit 3"],
    [{ message: "timed out after 5s", signal: "SIGKILL", stderr_tail: "x" }, "SIGKILL · timed out after 5s"],
    [{ signal: "SIGKILL", exit_code: null }, "SIGKILL"],
    [{ rows: 3 }, '{"rows":3}'],
    [{ message: "" }, '{"message":""}']
  ] as const)("%j → %s", ([payload, words]) => {
    expect(payloadText(payload)).toBe(words)
  })
})

describe("text for a terminal", () => {
  it("keeps what is harmless", () => {
    const harmless = "größe 名前 🎉 é a\u0301 ├─"
    expect(printableLine(harmless)).toBe(harmless)
  })

  it("escapes JSON so that it means the same", () => {
    const json = JSON.stringify({ a: "\u009b\u202e\u2028\u{e0041}", b: ["\u200b"] }, null, "\t")
    const safe = printableJson(json)
    expect(safe.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}]/u)
    expect(JSON.parse(safe)).toEqual(JSON.parse(json))
    expect(JSON.parse(printableJson("{\r\n\t}"))).toEqual({})
  })

  it("keeps the lines of text of several", () => {
    expect(printable("a\u001b\nb\t")).toBe("a\\u001b\nb\\t")
  })

  it("cuts by columns", () => {
    expect([textWidth("abc"), textWidth("名前"), textWidth("a\u0301"), textWidth("ｱ"), textWidth("🎉")]).toEqual([
      3, 4, 1, 1, 2
    ])
    // Wide without being of a script that is; a vowel beside its consonant.
    for (const wide of ["㈱", "ꀀ", "䷀", "︐", "かな"[0]!]) expect(textWidth(wide)).toBe(2)
    expect(textWidth("का")).toBe(2)
    expect(cutToWidth("abcdef", 4)).toBe("abc…")
    expect(cutToWidth("名前名前", 4)).toBe("名…")
    expect([cutToWidth("abc", 3), cutToWidth("abc", 1), cutToWidth("abc", 0)]).toEqual(["abc", "…", ""])
  })
})

describe("times", () => {
  it("durations have two figures", () => {
    const texts = [0, 999, 4249, 42_900, 185_000, 7_620_000, 273_600_000, -5].map(durationText)
    expect(texts).toEqual(["0ms", "999ms", "4.2s", "42s", "3m05s", "2h07m", "3d04h", "0ms"])
  })

  it("days are named when they are not today", () => {
    const at = new Date(2026, 0, 2, 3, 4, 5)
    expect(clockText(at, at)).toBe("03:04:05")
    expect(clockText(at, new Date(2026, 0, 3))).toBe("2026-01-02 03:04:05")
  })
})

describe("slices of JSON", () => {
  it("are exact, whatever stands around and in them", () => {
    const payload = '{ "n": 12345678901234567890, "s": "a\\"b]}\\\\", "x": [1.0, {"payload": 2}] }'
    const text = `{"payload":1, "items": [ ${payload} ,"]",[],1e400 ], "payload" :${payload}\n}`
    expect(memberText(text, "payload")).toBe(payload)
    expect(elementTexts(memberText(text, "items") ?? "")).toEqual([payload, '"]"', "[]", "1e400"])
    expect(memberText(text, "n")).toBeNull()
    expect(memberText('{"\\u0061":1}', "a")).toBe("1")
    expect([elementTexts("[]"), elementTexts(" [ ] "), memberText("{}", "a")]).toEqual([[], [], null])
  })
})
