import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { randomBytes, randomInt } from "node:crypto"
import { once } from "node:events"
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import pg from "pg"
import { waitUntil } from "./waitUntil.ts"
import { findPostgres, type PostgresBinaries } from "./PostgresBinaries.ts"

const watchdogScript = readFileSync(new URL("./postgres-watchdog.sh", import.meta.url), "utf8")
const user = "trails"
const startTimeout = 60_000

interface ServerIdentity {
  readonly uid: number
  readonly gid: number
}

/** Postgres refuses to run as root. */
const serverIdentity = (): ServerIdentity | null => {
  if (process.getuid?.() !== 0) return null
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }))
      return { uid: id("-u"), gid: id("-g") }
    } catch {
      continue
    }
  }
  throw new Error("Postgres does not run as root, and there is neither a user postgres nor nobody to run it as.")
}

/** A group of its own: Ctrl-C in the terminal must reach the tests alone, the watchdog does the rest in order. */
const spawnOptions = (identity: ServerIdentity | null) => ({
  cwd: "/",
  detached: true,
  env: { PATH: process.env["PATH"], TMPDIR: tmpdir(), LC_ALL: "C" },
  ...identity
})

/**
 * Below the range of ephemeral ports: there, while the server is down, a client that keeps reconnecting could be given
 * the very port it dials, connect to itself and keep the server from coming back.
 */
const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(15_000, 30_000)
    const probe = createServer()
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false))
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
  throw new Error("No free port between 15000 and 30000 on 127.0.0.1.")
}

/** The processes whose parent is `pid`. Linux only. */
const childrenOf = (pid: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => {
      try {
        const stat = readFileSync(`/proc/${candidate}/stat`, "utf8")
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid
      } catch {
        return false
      }
    })

const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/**
 * A private Postgres: its own folder, port and password, on loopback, with fsync on. It outlives `kill`, `freeze` and
 * `stop`, keeping port and data; it never outlives the process that made it (`postgres-watchdog.sh`).
 */
export class Postgres implements AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly #binaries: PostgresBinaries
  readonly #settings: ReadonlyArray<string>
  readonly #identity: ServerIdentity | null
  readonly #watchdog: ChildProcess
  #server: ChildProcess | null = null

  private constructor(
    binaries: PostgresBinaries,
    identity: ServerIdentity | null,
    watchdog: ChildProcess,
    folder: string,
    port: number,
    password: string,
    settings: Readonly<Record<string, string>>
  ) {
    this.#binaries = binaries
    this.#identity = identity
    this.#watchdog = watchdog
    this.folder = folder
    this.port = port
    this.url = `postgres://${user}:${password}@127.0.0.1:${port}/postgres`
    const all: Record<string, string> = {
      listen_addresses: "127.0.0.1",
      port: String(port),
      // No socket file: paths of folders below a long TMPDIR pass the limit of 107 bytes.
      unix_socket_directories: "",
      max_connections: "200",
      ...settings
    }
    this.#settings = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  }

  /** Makes a cluster and starts it; resolves when it answers. `settings` are those of `postgresql.conf`. */
  static async create(settings: Readonly<Record<string, string>> = {}): Promise<Postgres> {
    const binaries = findPostgres()
    const identity = serverIdentity()
    const password = randomBytes(16).toString("hex")
    const watchdog = spawn("sh", ["-c", watchdogScript, "sh", binaries.dir, user], {
      ...spawnOptions(identity),
      stdio: ["pipe", "pipe", "ignore"]
    })
    watchdog.stdin.write(`${password}\n`)
    let said = ""
    for await (const chunk of watchdog.stdout) {
      said += String(chunk)
      if (said.startsWith("/") && said.endsWith("\n")) break
    }
    const folder = said.trim()
    if (!folder.startsWith("/")) throw new Error(`Could not make a Postgres cluster: ${folder}`)
    watchdog.unref()
    const instance = new Postgres(binaries, identity, watchdog, folder, await freePort(), password, settings)
    try {
      await instance.start()
      return instance
    } catch (error) {
      await instance.dispose()
      throw error
    }
  }

  /** Starts it, or starts it again after `kill` or `stop`: same port, same data. Resolves when it answers. */
  async start(): Promise<void> {
    if (this.#server !== null) throw new Error("This Postgres is running already.")
    const log = openSync(join(this.folder, "log"), "a")
    const server = spawn(join(this.#binaries.dir, "postgres"), ["-D", this.#data, ...this.#settings], {
      ...spawnOptions(this.#identity),
      stdio: ["ignore", log, log]
    })
    closeSync(log)
    server.once("exit", () => {
      if (this.#server === server) this.#server = null
    })
    server.once("error", () => undefined)
    server.unref()
    this.#server = server
    const end = performance.now() + startTimeout
    while (!(await this.#answers())) {
      if (this.#server !== server || performance.now() > end) {
        throw new Error(`Postgres did not start on port ${this.port}:\n${this.log.split("\n").slice(-15).join("\n")}`)
      }
      await sleep(25)
    }
  }

  /** kill -9 of the server and all of its backends, as a power cut would. The data stay; `start` recovers them. */
  async kill(): Promise<void> {
    // Stopped first, so that it cannot fork a backend that the list misses.
    const pids = this.#signalAll("SIGSTOP")
    for (const pid of pids) signal(pid, "SIGKILL")
    await waitUntil("the killed Postgres is gone", () => this.#server === null && !pids.some((pid) => signal(pid, 0)))
  }

  /** Every process of it stands still; connections stay open and nothing answers. */
  freeze(): void {
    this.#signalAll("SIGSTOP")
  }

  thaw(): void {
    this.#signalAll("SIGCONT")
  }

  /** Orderly shutdown that drops the connections. The data stay. */
  async stop(): Promise<void> {
    if (this.#server?.pid === undefined) return
    signal(this.#server.pid, "SIGINT")
    await waitUntil("Postgres has stopped", () => this.#server === null, { withinMs: 30_000 })
  }

  /** Stops it and removes its folder. Idempotent. */
  async dispose(): Promise<void> {
    if (this.#watchdog.exitCode !== null || this.#watchdog.signalCode !== null) return
    this.#watchdog.ref()
    const gone = once(this.#watchdog, "exit")
    this.#watchdog.stdin?.end()
    await gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }

  get log(): string {
    return readFileSync(join(this.folder, "log"), "utf8")
  }

  /** The server's process while it runs. */
  get pid(): number | undefined {
    return this.#server?.pid
  }

  get isRunning(): boolean {
    return this.#server !== null
  }

  get #data(): string {
    return join(this.folder, "data")
  }

  #signalAll(name: NodeJS.Signals): ReadonlyArray<number> {
    const pid = this.#server?.pid
    if (pid === undefined) throw new Error("This Postgres is not running.")
    signal(pid, name)
    const pids = [pid, ...childrenOf(pid)]
    for (const child of pids) signal(child, name)
    return pids
  }

  async #answers(): Promise<boolean> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 2_000, query_timeout: 2_000 })
    client.on("error", () => undefined)
    try {
      await client.connect()
      await client.query("SELECT 1")
      return true
    } catch {
      return false
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
