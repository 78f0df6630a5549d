import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createConnection } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { freeze } from "./freeze.ts"
import { freePort } from "./freePort.ts"
import { leash } from "./Leash.ts"
import { waitUntil } from "./waitUntil.ts"

export interface NatsServerOptions {
  /** JetStream with its store in the server's own folder. */
  readonly jetstream?: boolean
  /** The one user that may connect; without it anybody may. */
  readonly login?: { readonly user: string; readonly password: string }
  /** Text of a configuration file, for accounts and permissions. Listeners, routes and folders are the harness's. */
  readonly config?: string
  /** Read instead of `config`: a file as it is shipped. */
  readonly configFile?: string
  /** What `$NAME` in the configuration stands for. */
  readonly env?: Readonly<Record<string, string>>
}

interface Route {
  readonly port: number
  /** Ports of the routes of the whole mesh. */
  readonly mesh: ReadonlyArray<number>
}

/** Latest output kept per server, in characters. */
const KEPT = 200_000
const CLUSTER = "trails-test"

// Debian puts it where not every user's PATH leads.
const PATH = [process.env["PATH"], "/usr/sbin"].join(delimiter)

/**
 * A nats-server process on loopback, with a folder and ports of its own, which survive `kill`, `stop` and `start`. It
 * never outlives the process that made it.
 */
export class NatsServer implements AsyncDisposable {
  readonly port: number
  readonly folder: string
  readonly name: string
  readonly #options: NatsServerOptions
  readonly #monitorPort: number
  readonly #route: Route | null
  #process: ChildProcess | null = null
  #exited: Promise<void> = Promise.resolve()
  #output = ""

  private constructor(options: NatsServerOptions, port: number, monitorPort: number, route: Route | null) {
    this.#options = options
    this.port = port
    this.#monitorPort = monitorPort
    this.#route = route
    this.name = `nats-${port}`
    this.folder = mkdtempSync(join(tmpdir(), "trails-nats-"))
  }

  /** One server; resolves when it takes clients. */
  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = await NatsServer.reserve(options)
    await server.#startOrDispose()
    return server
  }

  /** A server that is not started yet: its `url` is known, and nothing listens there. */
  static async reserve(options: NatsServerOptions = {}): Promise<NatsServer> {
    return new NatsServer(options, await freePort(), await freePort(), null)
  }

  /** `count` servers with routes to each other; resolves when all of them are connected to all. */
  static async mesh(count: number, options: NatsServerOptions = {}): Promise<ReadonlyArray<NatsServer>> {
    const routes: Array<number> = []
    while (routes.length < count) routes.push(await freePort())
    const servers: Array<NatsServer> = []
    try {
      for (const port of routes) {
        servers.push(new NatsServer(options, await freePort(), await freePort(), { port, mesh: routes }))
      }
      await Promise.all(servers.map((server) => server.start()))
      await waitUntil("the mesh is complete", async () => {
        const peers = await Promise.all(servers.map((server) => server.peers()))
        return peers.every((known) => known === count - 1)
      })
      return servers
    } catch (error) {
      await Promise.all(servers.map((server) => server.dispose()))
      throw error
    }
  }

  /** With the login, when there is one. */
  get url(): string {
    const { login } = this.#options
    return `nats://${login === undefined ? "" : `${login.user}:${login.password}@`}127.0.0.1:${this.port}`
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error("nats-server is not running")
    return this.#process.pid
  }

  get isRunning(): boolean {
    return this.#process !== null
  }

  /** What it has printed so far, the newest end of it. */
  get output(): string {
    return this.#output
  }

  /** Starts it, or starts it again on the same ports and with the same folder; resolves when it takes clients. */
  async start(): Promise<void> {
    if (this.#process !== null) throw new Error("nats-server runs already")
    const child = spawn("nats-server", this.#args(), {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH, ...this.#options.env }
    })
    let failed: Error | null = null
    child.once("error", (error) => (failed = error))
    const { pid } = child
    if (pid === undefined) {
      await waitUntil("nats-server has failed to start", () => failed !== null)
      throw new Error(
        "The tests need the program nats-server (2.9.10 or newer) on PATH. On Debian: apt-get install nats-server",
        { cause: failed }
      )
    }
    this.#process = child
    const unleash = leash(pid)
    this.#exited = new Promise((resolve) => {
      child.once("exit", () => {
        unleash()
        if (this.#process === child) this.#process = null
        resolve()
      })
    })
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-KEPT)
    }
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)
    const state = await waitUntil(
      "nats-server takes clients",
      async () => (this.#process !== child ? "ended" : await greets(this.port)),
      { withinMs: 30_000 }
    ).catch(() => "silent")
    if (state !== "greeted") {
      throw new Error(`nats-server ${state} at its start; it said:\n${this.#output.slice(-4000)}`)
    }
  }

  /** `kill -9`, and waits until the process is gone. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL")
    await this.#exited
  }

  /** Orderly end: it closes its connections. */
  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM")
    await this.#exited
  }

  /** Its threads stand still: connections stay open, the kernel takes new ones, and nothing answers. */
  freeze(): void {
    freeze(this.pid)
  }

  thaw(): void {
    process.kill(this.pid, "SIGCONT")
  }

  /** Ends it whatever its state, and removes its folder. Idempotent. */
  async dispose(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }

  /** An answer of its monitoring port, e.g. `connz?subs=1`, `subsz`, `jsz`. */
  async monitor(path: string): Promise<unknown> {
    const response = await fetch(`http://127.0.0.1:${this.#monitorPort}/${path}`, { signal: AbortSignal.timeout(5000) })
    return await response.json()
  }

  /** How many other servers it has routes to. */
  async peers(): Promise<number> {
    const { routes } = (await this.monitor("routez")) as {
      readonly routes?: ReadonlyArray<{ readonly remote_id: string }>
    }
    // Newer servers keep several connections to the same peer.
    return new Set((routes ?? []).map((route) => route.remote_id)).size
  }

  /** Connections of clients. */
  async clients(): Promise<number> {
    const { num_connections } = (await this.monitor("connz")) as { readonly num_connections: number }
    return num_connections
  }

  async #startOrDispose(): Promise<void> {
    try {
      await this.start()
    } catch (error) {
      await this.dispose()
      throw error
    }
  }

  #args(): ReadonlyArray<string> {
    const { config, configFile, jetstream, login } = this.#options
    const file = configFile ?? join(this.folder, "nats.conf")
    const authorization =
      login === undefined ? "" : `authorization: { user: "${login.user}", password: "${login.password}" }\n`
    if (configFile === undefined) writeFileSync(file, `${authorization}${config ?? ""}\n`, { mode: 0o600 })
    const route = this.#route
    return [
      ...["--config", file, "--name", this.name, "--addr", "127.0.0.1", "--port", String(this.port)],
      ...["--http_port", String(this.#monitorPort)],
      ...(jetstream === true ? ["--jetstream", "--store_dir", join(this.folder, "jetstream")] : []),
      ...(route === null
        ? []
        : [
            ...["--cluster_name", CLUSTER, "--cluster", `nats://127.0.0.1:${route.port}`],
            ...["--routes", route.mesh.map((port) => `nats://127.0.0.1:${port}`).join(",")]
          ])
    ]
  }
}

/** A server speaks first. */
const greets = (port: number): Promise<"greeted" | null> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port })
    const end = (answer: "greeted" | null) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => end(null))
    socket.once("error", () => end(null))
    socket.once("close", () => resolve(null))
    socket.once("data", (chunk) => end(chunk.toString().startsWith("INFO ") ? "greeted" : null))
  })
