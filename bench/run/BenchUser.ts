import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { leash } from "../../test/harness/Leash.ts"
import { withoutSurroundings } from "../../test/harness/surroundings.ts"
import type { Trailsd } from "../../test/harness/Trailsd.ts"

export const TRAILS = resolve(import.meta.dirname, "../../bin/trails")

/** Of one process and all that it has waited for. */
export interface Cost {
  readonly wallMs: number
  readonly cpuMs: number
}

/** Clock ticks of /proc/PID/stat on all common kernels, milliseconds. */
const TICK_MS = 10

/** CPU time of the children that this process has waited for, milliseconds. */
const childrenCpuMs = (): number => {
  const stat = readFileSync("/proc/self/stat", "latin1")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS
}

/** Somebody who runs commands against that server. */
export class BenchUser {
  readonly folder = mkdtempSync(join(tmpdir(), "bench-run-"))
  readonly #env: NodeJS.ProcessEnv

  constructor(server: Trailsd) {
    const { XDG_RUNTIME_DIR: _, ...others } = withoutSurroundings()
    this.#env = { ...others, HOME: server.folder, TRAILS_SERVER: server.http, TMPDIR: this.folder }
  }

  start(command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(command, args, { env: { ...this.#env, ...env }, stdio: ["ignore", "ignore", "inherit"] })
  }

  /** One that dies with this process, whatever ends that: not for what is measured, since it costs a shell. */
  leashed(command: string, args: ReadonlyArray<string>): ChildProcess {
    const child = this.start(command, args)
    child.once("exit", leash(child.pid!))
    return child
  }

  /** Resolves to the exit code of a process, null when a signal ended it. */
  static ended(child: ChildProcess): Promise<number | null> {
    return new Promise((resolve, reject) => {
      child.once("exit", resolve).once("error", reject)
    })
  }

  /** One process from its start to its end; fails when its exit code is another than 0. */
  async cost(command: string, args: ReadonlyArray<string>): Promise<Cost> {
    const cpu = childrenCpuMs()
    const started = performance.now()
    const code = await BenchUser.ended(this.start(command, args))
    const wallMs = performance.now() - started
    if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}`)
    return { wallMs, cpuMs: childrenCpuMs() - cpu }
  }

  /** From the first line of a wrapper to the process of its command, milliseconds (markSpawn.cjs). */
  async spawnMs(): Promise<number> {
    const file = join(this.folder, "mark")
    const env = {
      NODE_OPTIONS: `--require=${join(import.meta.dirname, "markSpawn.cjs")}`,
      MARK_SPAWN_FILE: file
    }
    await BenchUser.ended(this.start(TRAILS, ["run", "--name", "marked", "--", "true"], env))
    const took = Number(readFileSync(file, "utf8"))
    rmSync(file)
    return took
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
