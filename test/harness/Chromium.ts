import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { WebSocket } from "ws"
import { leash } from "./Leash.ts"
import { waitUntil } from "./waitUntil.ts"

const FLAGS = [
  "--headless",
  // Its sandbox does not work for root, nor in many containers; the pages are this project's own.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
  "--remote-debugging-port=0",
  "--window-size=900,1100"
]

interface Reply {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

type Settle = (reply: Reply) => void

/** A headless Chromium with a fresh profile and one page, driven by the DevTools protocol. */
export class Chromium {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #unleash: () => void
  readonly #pending = new Map<number, Settle>()
  #socket: WebSocket | null = null
  #session: string | undefined
  #lastId = 0

  private constructor(program: string) {
    this.#profile = mkdtempSync(join(tmpdir(), "trails-chromium-"))
    this.#process = spawn(program, [...FLAGS, `--user-data-dir=${this.#profile}`, "about:blank"], {
      stdio: "ignore",
      env: { ...process.env, HOME: this.#profile }
    })
    this.#unleash = this.#process.pid === undefined ? () => {} : leash(this.#process.pid)
  }

  static async start(program: string): Promise<Chromium> {
    const browser = new Chromium(program)
    try {
      await browser.#attach()
      return browser
    } catch (error) {
      await browser.dispose()
      throw error
    }
  }

  /** Loads a page; resolves when its document is there. */
  async open(url: string): Promise<void> {
    await this.#call("Page.navigate", { url })
    await waitUntil(`${url} is loaded`, () =>
      this.evaluate(`location.href === ${JSON.stringify(url)} && document.readyState === "complete"`)
    )
  }

  /** The value of an expression in the page, promises awaited. */
  async evaluate(expression: string): Promise<unknown> {
    const { exceptionDetails, result } = (await this.#call("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true
    })) as { readonly exceptionDetails?: object; readonly result: { readonly value?: unknown } }
    if (exceptionDetails !== undefined) throw new Error(`in the page: ${JSON.stringify(exceptionDetails)}`)
    return result.value
  }

  /** PNG of what is to be seen. */
  async screenshot(): Promise<Buffer> {
    const { data } = (await this.#call("Page.captureScreenshot", { captureBeyondViewport: true })) as {
      readonly data: string
    }
    return Buffer.from(data, "base64")
  }

  /** Ends the browser and removes its profile. */
  async dispose(): Promise<void> {
    const gone = this.#process.exitCode !== null || this.#process.signalCode !== null || this.#process.pid === undefined
    if (!gone) {
      const exited = once(this.#process, "exit")
      const stuck = setTimeout(() => this.#process.kill("SIGKILL"), 10_000)
      if (this.#socket === null) this.#process.kill()
      else this.#send("Browser.close", {}, () => {})
      await exited
      clearTimeout(stuck)
    }
    this.#unleash()
    this.#socket?.terminate()
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }

  async #attach(): Promise<void> {
    const file = join(this.#profile, "DevToolsActivePort")
    const [port, path] = await waitUntil(
      "Chromium listens",
      () => {
        const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : []
        return lines.length > 1 && lines
      },
      { withinMs: 60_000 }
    )
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`)
    await once(socket, "open")
    this.#socket = socket
    socket.on("message", (data) => {
      const reply = JSON.parse((data as Buffer).toString()) as Reply
      this.#pending.get(reply.id ?? 0)?.(reply)
    })
    socket.on("close", () => {
      for (const settle of this.#pending.values()) settle({ error: { message: "Chromium is gone" } })
    })
    const { targetId } = (await this.#call("Target.createTarget", { url: "about:blank" })) as { targetId: string }
    const attached = await this.#call("Target.attachToTarget", { targetId, flatten: true })
    this.#session = (attached as { readonly sessionId: string }).sessionId
  }

  #send(method: string, params: object, settle: Settle): void {
    const id = ++this.#lastId
    const session = this.#session === undefined || method.startsWith("Browser.") ? {} : { sessionId: this.#session }
    this.#pending.set(id, (reply) => {
      this.#pending.delete(id)
      settle(reply)
    })
    this.#socket?.send(JSON.stringify({ id, method, params, ...session }))
  }

  #call(method: string, params: object): Promise<unknown> {
    return new Promise((resolve, reject) =>
      this.#send(method, params, ({ error, result }) =>
        error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`))
      )
    )
  }
}
