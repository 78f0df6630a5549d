import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { copyEmbeddedTemplate } from "./EmbeddedTemplate.ts"
import { freeze } from "./freeze.ts"
import { freePort } from "./freePort.ts"
import { type Keypair, makeKeypair, secretPem } from "./Keypair.ts"
import { leash } from "./Leash.ts"
import { withoutSurroundings } from "./surroundings.ts"
import { waitUntil } from "./waitUntil.ts"

export interface TrailsdOptions {
  /** Absent: embedded storage. */
  readonly databaseUrl?: string
  /** Of several replicas that share it. Default: a fresh one. */
  readonly serverKey?: Keypair
  /** Further settings (PROTOCOL §13); they win over the harness's own. */
  readonly env?: Readonly<Record<string, string>>
  /** Flags for Node itself. */
  readonly nodeFlags?: ReadonlyArray<string>
  readonly readyWithinMs?: number
  /** Folder of the clone whose trailsd runs. Default: this one. */
  readonly build?: string
}

/** Where nodes and callers reach a server, or several that share a key. */
export interface ServerAddress {
  /** WebSocket endpoint. */
  readonly url: string
  /** Base of the REST API. */
  readonly http: string
  readonly serverKey: Keypair
}

export interface Exited {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const ROOT = resolve(import.meta.dirname, "../..")
/** Latest output kept per server, in characters. */
const KEPT = 200_000

/** A trailsd process with a data folder, a server key and a port of its own, which survive its restarts. */
export class Trailsd implements ServerAddress {
  readonly port: number
  readonly folder: string
  readonly serverKey: Keypair
  readonly #options: TrailsdOptions
  /** Folder of the clone that its next start runs. */
  build: string
  #process: ChildProcess | null = null
  #unleash = () => {}
  #exited: Promise<Exited> | null = null
  #output = ""

  private constructor(options: TrailsdOptions, port: number) {
    this.#options = options
    this.build = options.build ?? ROOT
    this.port = port
    this.folder = mkdtempSync(join(tmpdir(), "trailsd-test-"))
    this.serverKey = options.serverKey ?? makeKeypair()
    writeFileSync(join(this.folder, "server.pem"), secretPem(this.serverKey), { mode: 0o600 })
  }

  /** A server that is not started yet: its port is known, and nothing listens there. */
  static async reserve(options: TrailsdOptions = {}): Promise<Trailsd> {
    return new Trailsd(options, await freePort())
  }

  /** Starts a server and waits until `/readyz` says yes. */
  static async start(options: TrailsdOptions = {}): Promise<Trailsd> {
    const server = await Trailsd.reserve(options)
    await server.start()
    return server
  }

  get dataDir(): string {
    return join(this.folder, "data")
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`
  }

  get http(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error("trailsd is not running")
    return this.#process.pid
  }

  get isRunning(): boolean {
    return this.#process !== null
  }

  /** How its latest run ends, or has ended. */
  get exited(): Promise<Exited> {
    if (this.#exited === null) throw new Error("trailsd was never started")
    return this.#exited
  }

  /** What it has printed so far, the newest end of it. */
  get output(): string {
    return this.#output
  }

  /** Starts the process; resolves when it is ready, or at once with `ready: false`. */
  async start(options: { readonly ready?: boolean } = {}): Promise<void> {
    if (this.#process !== null) throw new Error("trailsd runs already")
    if (this.#options.databaseUrl === undefined) copyEmbeddedTemplate(this.dataDir)
    const main = join(this.build, "src/main.ts")
    const child = spawn(process.execPath, ["--max-semi-space-size=8", ...(this.#options.nodeFlags ?? []), main], {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...withoutSurroundings(),
        HOME: this.folder,
        LISTEN_ADDR: `127.0.0.1:${this.port}`,
        TRAILS_DATA_DIR: this.dataDir,
        TRAILS_SERVER_KEY_FILE: join(this.folder, "server.pem"),
        ...(this.#options.databaseUrl === undefined ? {} : { DATABASE_URL: this.#options.databaseUrl }),
        ...this.#options.env
      }
    })
    if (child.pid === undefined) throw new Error(`trailsd could not be started with ${process.execPath}`)
    this.#process = child
    this.#unleash = leash(child.pid)
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-KEPT)
    }
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#unleash()
        if (this.#process === child) this.#process = null
        resolve({ code, signal })
      })
    })
    if (options.ready !== false) await this.ready()
  }

  async ready(): Promise<void> {
    const running = this.#process
    await waitUntil(
      "trailsd is ready",
      async () => {
        if (this.#process !== running || running === null) return "exited"
        return (await this.readyz()) === 200
      },
      { withinMs: this.#options.readyWithinMs ?? 60_000, everyMs: 25 }
    ).catch((cause: unknown) => {
      throw new Error(`trailsd did not get ready; it said:\n${this.#output.slice(-4000)}`, { cause })
    })
    if (this.#process === null) throw new Error(`trailsd ended at its start; it said:\n${this.#output.slice(-4000)}`)
  }

  /** Status of `/readyz`; null when nothing answers. */
  async readyz(): Promise<number | null> {
    try {
      const response = await fetch(`${this.http}/readyz`, { signal: AbortSignal.timeout(5000) })
      await response.arrayBuffer()
      return response.status
    } catch {
      return null
    }
  }

  /** `kill -9`, and waits until the process is gone. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL")
  }

  /** SIGTERM, and waits for the end; kills it, and fails, when it takes longer than `withinMs`. */
  async stop(withinMs = 15_000): Promise<Exited> {
    const stuck = setTimeout(() => this.#process?.kill("SIGKILL"), withinMs)
    const exited = await this.#end("SIGTERM")
    clearTimeout(stuck)
    if (exited.signal === "SIGKILL") {
      throw new Error(`trailsd did not stop within ${withinMs} ms; it said:\n${this.#output.slice(-4000)}`)
    }
    return exited
  }

  /** Ends it whatever its state, and removes its folder. */
  async dispose(): Promise<void> {
    if (this.#process !== null) await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Stops the process's threads, as a stalled machine does. */
  freeze(): void {
    freeze(this.pid)
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT")
  }

  /** Resident memory in KiB. */
  rss(): number {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, "utf8"))
    return Number(line?.[1])
  }

  async #end(signal: NodeJS.Signals): Promise<Exited> {
    if (this.#process === null || this.#exited === null) return { code: null, signal: null }
    this.#process.kill(signal)
    return await this.#exited
  }
}
