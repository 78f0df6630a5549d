import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { resolve } from "node:path"
import { leash } from "../harness/Leash.ts"
import { waitUntil } from "../harness/waitUntil.ts"

export const TRAILS = resolve(import.meta.dirname, "../../bin/trails")

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** One run of the real command line, with nothing of the surroundings but PATH. It does not outlive the tests. */
export class TrailsCommand {
  readonly process: ChildProcess
  stdout = ""
  stderr = ""
  readonly ended: Promise<Ended>

  constructor(args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) {
    this.process = spawn(TRAILS, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] ?? "", ...env }
    })
    const unleash = this.process.pid === undefined ? () => {} : leash(this.process.pid)
    this.process.once("exit", unleash)
    this.process.stdout?.setEncoding("utf8").on("data", (chunk: string) => (this.stdout += chunk))
    this.process.stderr?.setEncoding("utf8").on("data", (chunk: string) => (this.stderr += chunk))
    this.ended = once(this.process, "close").then(([code]) => ({
      code: code as number | null,
      stdout: this.stdout,
      stderr: this.stderr
    }))
  }

  /** Fails with the output so far when the process ends before. */
  async until(reason: string, predicate: () => boolean): Promise<void> {
    const isOver = () => this.process.exitCode !== null || this.process.signalCode !== null
    await waitUntil(reason, () => predicate() || isOver())
    if (!predicate()) throw new Error(`ended before: ${reason}\n${this.stdout}\n${this.stderr}`)
  }
}
