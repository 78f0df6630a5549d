import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { freshBundle } from "../../bin/freshBundle.cjs"

const root = resolve(import.meta.dirname, "../..")
let place = ""
let source = ""

const facts = (): ReadonlyArray<unknown> => {
  const { mtimeMs, size } = statSync(source)
  return [relative(root, source), size, mtimeMs]
}

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "trails-bundle-"))
  source = join(place, "source.ts")
  writeFileSync(source, "one")
  writeFileSync(join(place, "newest.json"), JSON.stringify({ folder: "made", inputs: [facts()] }))
})
afterEach(() => rmSync(place, { recursive: true }))

describe("the bundle of trails run", () => {
  it("is taken while its sources are as they were", () => {
    expect(freshBundle(place)).toBe(join(place, "made"))
  })

  it.for<readonly [string, () => void]>([
    ["has another size", () => writeFileSync(source, "other")],
    ["has another time", () => utimesSync(source, new Date(), new Date(Date.now() + 1))],
    ["is gone", () => rmSync(source)],
    ["is there, and the list is not", () => rmSync(join(place, "newest.json"))],
    ["is there, and the list is none", () => writeFileSync(join(place, "newest.json"), "{")]
  ])("is not when a source %s", ([, change]) => {
    change()
    expect(freshBundle(place)).toBeNull()
  })

  it("is made of this clone's sources, and finds from its place what they find from theirs", () => {
    execFileSync(process.execPath, [join(root, "scripts/bundleRun.mjs")])
    const folder = freshBundle(join(root, "node_modules/.cache/trails-run"))
    expect(folder).not.toBeNull()
    mkdirSync(join(place, "home"))
    const env = { PATH: "/usr/bin:/bin", HOME: join(place, "home"), TRAILS_SERVER: "127.0.0.1:1" }
    const run = ["run", "--", "sh", "-c", "command -v trails"]
    const found = execFileSync(join(root, "bin/trails"), run, {
      env,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
    expect(resolve(found.trim())).toBe(join(root, "bin/trails"))
  })
})
