import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { compileCacheFolder } from "../../bin/compileCache.cjs"

let folder = ""
const own = () => join(folder, "tmp", `trails-cache-${process.getuid?.()}`)
/** No user, root included, can write below a file. */
const readOnly = "/proc/version"

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trails-cache-test-"))
  mkdirSync(join(folder, "tmp"))
})

afterEach(() => rmSync(folder, { recursive: true }))

describe("compileCacheFolder", () => {
  it("is below the package where this user may write there", () => {
    expect(compileCacheFolder(folder, "/nowhere")).toBe(join(folder, "node_modules", ".cache", "trails"))
  })

  it("else a private folder among the temporary files", () => {
    expect(compileCacheFolder(readOnly, join(folder, "tmp"))).toBe(own())
    expect(statSync(own()).mode & 0o777).toBe(0o700)
    expect(compileCacheFolder(readOnly, join(folder, "tmp"))).toBe(own())
  })

  it("never one that others may write to, or that is somewhere else", () => {
    mkdirSync(own())
    chmodSync(own(), 0o777)
    expect(compileCacheFolder(readOnly, join(folder, "tmp"))).toBeNull()
    rmSync(own(), { recursive: true })
    mkdirSync(join(folder, "elsewhere"), { mode: 0o700 })
    symlinkSync(join(folder, "elsewhere"), own())
    expect(compileCacheFolder(readOnly, join(folder, "tmp"))).toBeNull()
  })

  it("is not there where nothing can be written", () => {
    expect(compileCacheFolder(readOnly, join(folder, "none"))).toBeNull()
    expect(existsSync(join(folder, "none"))).toBe(false)
  })
})
