import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { leash } from "../../harness/Leash.ts"
import { withoutSurroundings } from "../../harness/surroundings.ts"
import type { Trailsd } from "../../harness/Trailsd.ts"

export const BIN = resolve(import.meta.dirname, "../../../bin")

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Surroundings of one user: a home, where the server has left its file, and a folder for temporary files. */
export class User {
  readonly folder = mkdtempSync(join(tmpdir(), "tr-"))
  readonly env: Readonly<Record<string, string>>

  constructor(server: Pick<Trailsd, "folder" | "http">) {
    const { XDG_RUNTIME_DIR: _, ...others } = withoutSurroundings()
    this.env = {
      ...others,
      HOME: server.folder,
      TRAILS_SERVER: server.http,
      TMPDIR: this.folder,
      PATH: `${BIN}:${others["PATH"] ?? ""}`
    }
  }

  trails(args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Wrapped {
    return new Wrapped(args, { ...this.env, ...env })
  }

  /** Runs a script of the shell as a node. */
  run(name: string, script: string, ...options: ReadonlyArray<string>): Wrapped {
    return this.trails(["run", "--name", name, ...options, "--", "sh", "-c", script])
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** One process of bin/trails. */
export class Wrapped {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ""
  stderr = ""

  constructor(args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) {
    this.process = spawn(join(BIN, "trails"), args, { env, stdio: ["ignore", "pipe", "pipe"] })
    const unleash = leash(this.process.pid!)
    this.process.stdout!.setEncoding("utf8").on("data", (text: string) => (this.stdout += text))
    this.process.stderr!.setEncoding("utf8").on("data", (text: string) => (this.stderr += text))
    this.ended = new Promise((done) => {
      // Not `close`: what a command leaves behind may hold its stderr.
      this.process.once("exit", (code, signal) => {
        unleash()
        setImmediate(() => done({ code, signal, stdout: this.stdout, stderr: this.stderr }))
      })
    })
  }

  get pid(): number {
    return this.process.pid!
  }
}
