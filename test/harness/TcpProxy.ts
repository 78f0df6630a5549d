import { createServer, connect, type Server, type Socket } from "node:net"

/**
 * What happens to one chunk of a client: `pass` forwards it; `swallow` forwards it, drops the server's answer and closes
 * (the work is done, the client does not know); `lose` drops it and closes (the work is not done).
 */
export type Fate = "pass" | "swallow" | "lose"

/** A TCP proxy with faults on command, between a client and one server on loopback. */
export class TcpProxy {
  /** Asked for each chunk that a client sends. */
  fate: () => Fate = () => "pass"
  /** Holds back what the server says for so long; null: for ever. */
  answerDelayMs: number | null = 0
  readonly counts = { swallowed: 0, lost: 0 }
  readonly #target: { readonly host: string; readonly port: number }
  readonly #sockets = new Set<Socket>()
  #server: Server | null = null
  #port = 0
  #down = false

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target
  }

  static async to(host: string, port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy({ host, port })
    await proxy.#listen()
    return proxy
  }

  /** In front of the server of a URL; `url` then leads through the proxy. */
  static async inFrontOf(url: string): Promise<{ readonly proxy: TcpProxy; readonly url: string }> {
    const target = new URL(url)
    const proxy = await TcpProxy.to(target.hostname, Number(target.port))
    target.hostname = "127.0.0.1"
    target.port = String(proxy.port)
    return { proxy, url: target.href }
  }

  get port(): number {
    return this.#port
  }

  /** Breaks every connection; new ones go through. */
  breakAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Breaks every connection and takes none until `restore`. */
  cut(): void {
    this.#down = true
    this.breakAll()
  }

  restore(): void {
    this.#down = false
    this.answerDelayMs = 0
    this.fate = () => "pass"
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise<void>((resolve) => (this.#server === null ? resolve() : this.#server.close(() => resolve())))
  }

  async #listen(): Promise<void> {
    const server = createServer((client) => this.#accept(client))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(0, "127.0.0.1", resolve)
    })
    this.#port = (server.address() as { port: number }).port
  }

  #accept(client: Socket): void {
    if (this.#down) return void client.destroy()
    const upstream = connect(this.#target)
    const close = () => {
      client.destroy()
      upstream.destroy()
    }
    let swallowing = false
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.setNoDelay(true)
      socket.on("error", close)
      socket.on("close", () => {
        this.#sockets.delete(socket)
        close()
      })
    }
    client.on("data", (chunk) => {
      const fate = swallowing ? "pass" : this.fate()
      if (fate === "lose") {
        this.counts.lost += 1
        return close()
      }
      if (fate === "swallow") {
        this.counts.swallowed += 1
        swallowing = true
      }
      if (!upstream.write(chunk)) {
        client.pause()
        upstream.once("drain", () => client.resume())
      }
    })
    // The first byte of an answer says that the statement is done: the server flushes at the end of a round.
    upstream.on("data", (chunk) => {
      if (swallowing) return close()
      if (this.answerDelayMs === null) return
      if (this.answerDelayMs > 0) return void setTimeout(() => client.write(chunk), this.answerDelayMs)
      client.write(chunk)
    })
  }
}
