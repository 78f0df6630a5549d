import { spawnSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let project = ""

const program = (name: string, text: string): void => {
  const file = join(project, "programs", name)
  writeFileSync(file, `#!/bin/sh\n${text}\n`)
  chmodSync(file, 0o755)
}

const file = (name: string, seconds: number): void => {
  const path = join(project, name)
  mkdirSync(join(path, ".."), { recursive: true })
  writeFileSync(path, "")
  utimesSync(path, seconds, seconds)
}

/** A project with a lock file, whose `npm` only notes how it was called and whose Node claims to be of a version. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "trails-install-"))
  mkdirSync(join(project, "scripts"))
  mkdirSync(join(project, "programs"))
  copyFileSync(fileURLToPath(new URL("../../scripts/install.sh", import.meta.url)), join(project, "scripts/install.sh"))
  program("npm", `echo "$@" >>"${project}/calls"`)
  program("node", "echo v24.21.0")
  file("package-lock.json", 1_000)
})
afterEach(() => rmSync(project, { recursive: true }))

const install = (...args: ReadonlyArray<string>) => {
  const { status, stderr } = spawnSync("sh", [join(project, "scripts/install.sh"), ...args], {
    encoding: "utf8",
    env: { PATH: `${join(project, "programs")}:/usr/bin:/bin` }
  })
  const calls = existsSync(join(project, "calls")) ? readFileSync(join(project, "calls"), "utf8").trim() : null
  return { status, stderr, calls }
}

const complete = (): void => {
  file("node_modules/.package-lock.json", 2_000)
  file("node_modules/.bin/vitest", 2_000)
}

describe("scripts/install.sh", () => {
  it("fresh clone → npm ci", () => {
    expect(install()).toMatchObject({ status: 0, calls: "ci" })
  })

  it("fresh clone, for tests → npm ci with the tools, whatever NODE_ENV says", () => {
    expect(install("--dev")).toMatchObject({ status: 0, calls: "ci --include=dev" })
  })

  it("complete → nothing", () => {
    complete()
    expect(install("--dev")).toMatchObject({ status: 0, calls: null, stderr: "" })
  })

  it("an install that was killed → npm ci", () => {
    complete()
    rmSync(join(project, "node_modules/.package-lock.json"))
    expect(install().calls).toBe("ci")
  })

  it("a newer lock file → npm ci", () => {
    complete()
    file("package-lock.json", 3_000)
    expect(install().calls).toBe("ci")
  })

  it("installed without the tools: start → nothing; test → npm ci", () => {
    complete()
    rmSync(join(project, "node_modules/.bin/vitest"))
    expect(install().calls).toBeNull()
    expect(install("--dev").calls).toBe("ci --include=dev")
  })

  it("an old Node and none of its own → refused with the remedy", () => {
    complete()
    program("node", "echo v20.20.2")
    const { status, stderr } = install()
    expect(status).toBe(69)
    expect(stderr).toContain("This needs Node 24 or newer, found v20.20.2")
  })
})
