import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, expect, it } from "vitest"
import { type Canary, canaries } from "./canaries.ts"
import { replaced } from "./Checkout.ts"

const read = (file: string): string => readFileSync(resolve(import.meta.dirname, "../..", file), "utf8")

/** `npm run test:canaries` is too long for every run; that it can be run is looked at here. */
describe("what a canary breaks, and the test that has to notice, are there", () => {
  it.for(canaries)("$name", ({ breaks, test }: Canary) => {
    const sources = new Map<string, string>()
    for (const one of breaks) sources.set(one.file, replaced(sources.get(one.file) ?? read(one.file), one))
    expect(read(test.file)).toContain(test.title)
  })

  it("a text that is not there any more is an error that says where", () => {
    expect(() => replaced("if (a) return", { file: "src/x.ts", text: "if (b)", by: "" })).toThrow(
      /src\/x\.ts has this 0 times/
    )
  })
})
