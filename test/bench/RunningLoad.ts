import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import type { LoadSummary } from "../../bench/load/LoadSummary.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const LOAD = resolve(import.meta.dirname, "../../bench/load.ts")

/** One run of `bench/load.ts` with its output. */
export class RunningLoad {
  readonly child: ChildProcess
  stdout = ""
  stderr = ""
  readonly #exit: Promise<number | null>

  /** `home`: where a server's advert is looked for. */
  constructor(args: ReadonlyArray<string>, home = "/nonexistent") {
    this.child = spawn(process.execPath, [LOAD, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", HOME: home }
    })
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.stdout += chunk.toString()
    })
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    this.#exit = once(this.child, "close").then(([code]) => code as number | null)
  }

  /** Exit code, once everything it said is here. */
  get exited(): Promise<number | null> {
    return this.#exit
  }

  /** Waits until messages have been acked. */
  async underWay(): Promise<void> {
    await waitUntil("acked messages", () => /[1-9]\d* acked,/.test(this.stderr), { withinMs: 30_000 })
  }

  /** Waits until so many sockets have come back. */
  async reconnected(sockets: number): Promise<void> {
    const newest = () => Number([...this.stderr.matchAll(/(\d+) reconnects/g)].at(-1)?.[1] ?? 0)
    await waitUntil(`${sockets} reconnects`, () => newest() >= sockets, { withinMs: 60_000 })
  }

  /** The last line of stdout, at the end. */
  async summary(): Promise<LoadSummary> {
    await this.exited
    const last = this.stdout.trimEnd().split("\n").at(-1) ?? ""
    if (last === "") throw new Error(`no summary; it said:\n${this.stderr}`)
    return JSON.parse(last) as LoadSummary
  }
}
