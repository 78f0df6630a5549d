import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { waitUntil } from "../harness/waitUntil.ts"

/** trailsd as it is in this folder, by its launcher. */
const SOURCE: ReadonlyArray<string> = [resolve(import.meta.dirname, "../../bin/trailsd")]

/** A folder that stands for a user's machine: home, working folder, nothing else in the environment. */
export class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), "trails-main-"))
  readonly launched: Array<Launched> = []
  readonly #command: ReadonlyArray<string>

  /** `command`: what starts trailsd there. */
  constructor(command: ReadonlyArray<string> = SOURCE) {
    this.#command = command
  }

  get home(): string {
    return join(this.folder, "home")
  }

  launch(env: Readonly<Record<string, string>> = {}, args: ReadonlyArray<string> = []): Launched {
    const launched = new Launched(this.folder, { HOME: this.home, ...env }, [...this.#command, ...args])
    this.launched.push(launched)
    return launched
  }

  dispose(): void {
    for (const { child } of this.launched) child.kill("SIGKILL")
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** One run of trailsd with its output. */
export class Launched {
  readonly child: ChildProcess
  stdout = ""
  stderr = ""
  readonly #exit: Promise<number | null>

  constructor(cwd: string, env: Readonly<Record<string, string>>, command: ReadonlyArray<string>) {
    const [program = "", ...args] = command
    this.child = spawn(program, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", ...env }
    })
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString()
    })
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    this.#exit = once(this.child, "close").then(([code]) => code as number | null)
  }

  /** The log lines so far: each is one JSON object, since stderr is no terminal. */
  get lines(): ReadonlyArray<{ readonly level: string; readonly message: string }> {
    return this.stderr
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { level: string; message: string })
  }

  get messages(): ReadonlyArray<string> {
    return this.lines.map(({ message }) => message)
  }

  /** Exit code; null when a signal ended it. */
  get exited(): Promise<number | null> {
    return this.#exit
  }

  /** Waits for the first screen. */
  async ready(): Promise<this> {
    await this.until("the first screen", () => this.stdout.includes("Ctrl-C"))
    return this
  }

  async until(reason: string, predicate: () => boolean | Promise<boolean>): Promise<void> {
    const ended = () => this.child.exitCode !== null || this.child.signalCode !== null
    await waitUntil(reason, async () => ended() || (await predicate()), { withinMs: 60_000, everyMs: 25 })
    if (ended()) throw new Error(`trailsd ended before: ${reason}\n${this.stderr}`)
  }

  /** Sends the signal; gives exit code and milliseconds until the end. */
  async end(signal: NodeJS.Signals): Promise<{ readonly code: number | null; readonly tookMs: number }> {
    const from = performance.now()
    this.child.kill(signal)
    const code = await this.#exit
    return { code, tookMs: performance.now() - from }
  }
}
