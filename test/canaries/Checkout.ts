import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve, sep } from "node:path"
import type { Canary, Replacement } from "./canaries.ts"

const ROOT = resolve(import.meta.dirname, "../..")
/** Not copied: what is built or fetched, and the history. */
const LEFT: ReadonlySet<string> = new Set([".git", "dist", "lib", "node_modules"])
const LIMIT_MS = 300_000

export interface TestEnd {
  readonly name: string
  readonly status: string
}

interface VitestReport {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{ readonly fullName: string; readonly status: string }>
  }>
}

/** What a replacement makes of the text of its file; an error when what it replaces is not there once. */
export const replaced = (source: string, { by, file, text }: Replacement): string => {
  const parts = source.split(text)
  if (parts.length !== 2) {
    throw new Error(
      `${file} has this ${parts.length - 1} times instead of once; correct test/canaries/canaries.ts:\n${text}`
    )
  }
  return parts.join(by)
}

/** A copy of this checkout in a temporary folder, to be broken: the work tree is never touched. */
export class Checkout implements Disposable {
  readonly #folder: string

  constructor() {
    this.#folder = mkdtempSync(join(realpathSync(tmpdir()), "trails-canaries-"))
    cpSync(ROOT, this.#folder, {
      recursive: true,
      filter: (path) => !LEFT.has(path.slice(ROOT.length + 1).split(sep)[0] ?? "")
    })
    symlinkSync(join(ROOT, "node_modules"), join(this.#folder, "node_modules"))
  }

  /** Breaks the guard for as long as `body` takes. */
  async with<A>({ breaks }: Canary, body: () => Promise<A>): Promise<A> {
    const before = new Map<string, string>()
    try {
      for (const one of breaks) {
        const path = join(this.#folder, one.file)
        const source = readFileSync(path, "utf8")
        if (!before.has(path)) before.set(path, source)
        writeFileSync(path, replaced(source, one))
      }
      return await body()
    } finally {
      for (const [path, source] of before) writeFileSync(path, source)
    }
  }

  /** How these tests end, those with another title are left out. Rejects when they do not run, or not within five minutes. */
  async test(tests: ReadonlyArray<Canary["test"]>): Promise<ReadonlyArray<TestEnd>> {
    const file = join(this.#folder, "report.json")
    rmSync(file, { force: true })
    const titles = tests.map(({ title }) => title.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    const files = [...new Set(tests.map((test) => test.file))]
    const args = ["run", "--reporter=json", `--outputFile=${file}`, "-t", titles.join("|"), ...files]
    const vitest = realpathSync(join(ROOT, "node_modules/.bin/vitest"))
    const said: Array<Buffer> = []
    const child = spawn(process.execPath, [vitest, ...args], { cwd: this.#folder, stdio: ["ignore", "pipe", "pipe"] })
    child.stdout.on("data", (chunk: Buffer) => said.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => said.push(chunk))
    const late = setTimeout(() => child.kill("SIGTERM"), LIMIT_MS)
    await new Promise((done) => child.once("close", done))
    clearTimeout(late)
    try {
      const { testResults } = JSON.parse(readFileSync(file, "utf8")) as VitestReport
      return testResults
        .flatMap(({ assertionResults }) => assertionResults)
        .map(({ fullName, status }) => ({ name: fullName, status }))
    } catch (cause) {
      throw new Error(`the tests did not run:\n${Buffer.concat(said).toString().slice(-3000)}`, { cause })
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
