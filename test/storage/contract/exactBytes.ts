import { describe, expect, it } from "vitest"
import { birthOf, logEntry, statusEntry, statusWrite } from "../rows.ts"
import type { Stage } from "./Stage.ts"

export const exactBytes = (stage: Stage): void => {
  describe("exact bytes (P1)", () => {
    const { append, bear, logOf, read, run } = stage

    const payloads = [
      ["an ordinary object", `{"a":1.50,"b":[true,null]}`],
      ["an escaped NUL", `{"a":"x\\u0000y"}`],
      ["a lone high surrogate", `"\\ud800"`],
      ["a lone low surrogate", `["\\udc00\\ud800"]`],
      ["a pair of surrogate escapes", `"\\ud83d\\ude00"`],
      ["an escaped backslash before u0000", `"\\\\u0000"`],
      ["a number beyond numeric", `{"n":1e400000}`],
      ["a number beyond numeric, negative exponent", `-1E-400000`],
      ["a 40-digit integer", `{"n":1234567890123456789012345678901234567890}`],
      ["a double key and white space", `{ "a" : 1,  "a":2 }`],
      ["text beyond the BMP", `{"t":"\u{1f600} \u4f60 \u00e9"}`],
      ["the frame's own member names", `{"payload":{"payload":1},"sig":null}`],
      ["200,000 digits", "9".repeat(200_000)]
    ] as const

    it.for(payloads)("%s is read back as it was sent", async ([, payload]) => {
      const node = await bear(birthOf())
      const entry = statusEntry(node.appId, 1, payload)
      const write = statusWrite(node, 1, {
        rows: [entry],
        snapshot: { seq: 1, payload },
        outcome: { state: "done", payload }
      })
      expect(await append(write)).toEqual([{ _tag: "Committed" }])
      const [row] = (await logOf(node.appId)).slice(1)
      expect(row!.frame).toBe(entry.frame)
      expect(row!.payload).toBe(payload)
      expect((await read(node.appId)).outcome).toEqual({ state: "done", payload })
      expect(await run(stage.store.storedFrames(node.appId, 1, [1]))).toEqual([{ seq: 1, frame: entry.frame }])
    })

    it("bytes, data, correlation and trace come back", async () => {
      const node = await bear(birthOf())
      const bytes = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 256)).toString("base64")
      const entry = logEntry({
        kind: "result",
        seq: 1,
        correlationId: "c-1",
        frame: "{}",
        payload: "null",
        bytes,
        data: { late_start: true },
        traceparent: "00-1-2-01"
      })
      await append(statusWrite(node, 1, { rows: [entry] }))
      expect((await logOf(node.appId))[1]).toMatchObject(entry)
    })

    it("NUL and lone surrogates in names and reasons harm nobody", async () => {
      const node = await bear(birthOf({ appName: "a\u0000b", tags: { "\ud800": "x\u0000" } }))
      expect(
        await append(
          statusWrite(node, 1, {
            outcome: { state: "error", reason: "r\u0000" },
            rows: [logEntry({ kind: "error", seq: 1, correlationId: "c\u0000", data: { reason: "\udfff" } })]
          })
        )
      ).toEqual([{ _tag: "Committed" }])
    })

    it("a payload of 1 MiB is kept", async () => {
      const node = await bear(birthOf())
      const payload = JSON.stringify({ blob: "x\u00e9".repeat(500_000) })
      await append(statusWrite(node, 1, { rows: [statusEntry(node.appId, 1, payload)] }))
      expect((await logOf(node.appId))[1]!.payload).toBe(payload)
    })
  })
}
