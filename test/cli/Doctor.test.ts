import { describe, expect, it } from "vitest"
import { checkLines, clockCheck, nodeCheck } from "../../src/cli/Doctor.ts"
import { plain } from "../../src/cli/Paint.ts"

describe("doctor", () => {
  it.for([
    [0, "ok", "within 1 s"],
    [-29_000, "ok", "within 30 s"],
    [31_000, "warn", "31 s ahead of"],
    [-31_000, "warn", "31 s behind"],
    [60_000, "FAIL", "60 s ahead of"],
    [-3_600_000, "FAIL", "3600 s behind"]
  ] as const)("a clock that is off by %s ms is %s", ([offset, verdict, detail]) => {
    const found = clockCheck(offset)
    expect(found).toMatchObject({ verdict, detail: expect.stringContaining(detail) as string })
    expect(found.remedy === null).toBe(verdict === "ok")
  })

  it("an older Node is not good enough", () => {
    expect(nodeCheck("24.0.1").verdict).toBe("ok")
    expect(nodeCheck("22.20.0")).toMatchObject({
      verdict: "FAIL",
      remedy: expect.stringContaining("bin/trails") as string
    })
  })

  it("shows what to do below what was found, safe for a terminal", () => {
    const lines = checkLines([{ name: "ready", verdict: "FAIL", detail: "no \u001b[2J", remedy: "mend it" }], plain)
    expect(lines).toEqual(["FAIL  ready         no \\u001b[2J", "                    mend it"])
  })
})
