import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { holdDataDir } from "../../src/storage/DataDir.ts"

const script = join(import.meta.dirname, "holdFolder.ts")
let folder = ""
let started: Array<ChildProcess> = []

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "trails-dir-")), "data")
})
afterEach(() => {
  for (const child of started) child.kill("SIGKILL")
  started = []
  rmSync(join(folder, ".."), { recursive: true, force: true })
})

/** Starts a process that takes the folder; resolves with its first line. */
const holder = async (): Promise<{ readonly child: ChildProcess; readonly line: string }> => {
  const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "inherit"] })
  started.push(child)
  const [line] = (await once(createInterface(child.stdout), "line")) as [string]
  return { child, line }
}

const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  const exited = once(child, "exit")
  child.kill(signal)
  await exited
}

describe("the data folder belongs to one process (D1)", () => {
  it("a second process is refused and told the first one's pid and what to do", async () => {
    const first = await holder()
    assert.strictEqual(first.line, "held")
    const second = await holder()
    assert.include(second.line, `Another trailsd (pid ${first.child.pid}) uses ${folder}`)
    assert.include(second.line, "TRAILS_DATA_DIR=")
  })

  it("the refused one does not harm the holder's lock", async () => {
    const first = await holder()
    await holder()
    assert.include((await holder()).line, `pid ${first.child.pid}`)
  })

  it("kill -9 of the holder frees it at once, with its files still there (D2)", async () => {
    const first = await holder()
    await end(first.child, "SIGKILL")
    assert.isTrue(existsSync(join(folder, "owner.json")))
    assert.strictEqual((await holder()).line, "held")
  })

  it("a leftover that names the pid of a living stranger does not lock anybody out (pid reuse)", async () => {
    const first = await holder()
    await end(first.child, "SIGKILL")
    writeFileSync(join(folder, "owner.json"), JSON.stringify({ pid: process.pid, host: "elsewhere" }))
    assert.strictEqual((await holder()).line, "held")
  })

  it("of ten that start at once exactly one gets it", async () => {
    const lines = (await Promise.all(Array.from({ length: 10 }, holder))).map(({ line }) => line)
    assert.lengthOf(
      lines.filter((line) => line === "held"),
      1
    )
    assert.lengthOf(
      lines.filter((line) => line.startsWith("Another trailsd")),
      9
    )
  })

  it("a clean stop leaves nothing but the empty lock file", async () => {
    const first = await holder()
    await end(first.child, "SIGTERM")
    assert.deepStrictEqual(readdirSync(folder), ["lock"])
    assert.strictEqual(statSync(join(folder, "lock")).size, 0)
    assert.strictEqual((await holder()).line, "held")
  })
})

describe("permissions", () => {
  it.effect("a new folder is 0700 and its files 0600", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const held = yield* holdDataDir(folder)
        assert.deepStrictEqual(held, { path: folder, exposed: false })
        assert.strictEqual(statSync(folder).mode & 0o777, 0o700)
        for (const name of readdirSync(folder))
          assert.strictEqual(statSync(join(folder, name)).mode & 0o777, 0o600, name)
      })
    )
  )

  it.effect("a folder that others can enter is reported, not changed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        mkdirSync(folder)
        chmodSync(folder, 0o755)
        assert.isTrue((yield* holdDataDir(folder)).exposed)
        assert.strictEqual(statSync(folder).mode & 0o777, 0o755)
      })
    )
  )

  it.effect("a path that is no folder is refused with the remedy", () =>
    Effect.scoped(
      Effect.gen(function* () {
        mkdirSync(join(folder, ".."), { recursive: true })
        writeFileSync(folder, "")
        const error = yield* Effect.flip(holdDataDir(join(folder, "below")))
        assert.strictEqual(error.reason, "Unusable")
        assert.include(error.message, "TRAILS_DATA_DIR")
      })
    )
  )
})
