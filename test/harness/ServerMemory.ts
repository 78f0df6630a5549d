import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Trailsd } from "./Trailsd.ts"
import { waitUntil } from "./waitUntil.ts"

/** Bytes after a forced collection (`gcOnSignal.ts`); `ordinaryRss` after one that keeps emptied pages. */
export interface Memory {
  readonly rss: number
  readonly ordinaryRss: number
  readonly heapUsed: number
  readonly external: number
}

/** What a server holds on to, apart from what V8 keeps for the next burst: start it with `nodeFlags` and `env`. */
export class ServerMemory {
  readonly #folder = mkdtempSync(join(tmpdir(), "trailsd-memory-"))
  readonly #file = join(this.#folder, "memory.json")

  readonly nodeFlags = ["--expose-gc", "--import", join(import.meta.dirname, "gcOnSignal.ts")]

  get env(): Readonly<Record<string, string>> {
    return { BENCH_MEMORY_FILE: this.#file }
  }

  async measure(server: Trailsd): Promise<Memory> {
    rmSync(this.#file, { force: true })
    process.kill(server.pid, "SIGUSR2")
    const collected = () => existsSync(this.#file)
    await waitUntil("the server has collected its garbage", collected, { withinMs: 60_000, everyMs: 100 })
    return JSON.parse(readFileSync(this.#file, "utf8")) as Memory
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
