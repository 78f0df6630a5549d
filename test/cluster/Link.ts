import { connect, createServer, type Server, type Socket } from "node:net"
import { type MakePassage, Pipe, type Weather } from "./Pipe.ts"

/**
 * How a link is cut. `silent`: nothing passes and nobody is told, as when a cable is pulled; connections go on where they
 * were once it is mended, unless a side has given up. `reset`: connections break at once, new ones do too.
 */
export const cutModes = ["silent", "reset"] as const
export type CutMode = (typeof cutModes)[number]

interface Connection {
  readonly client: Socket
  readonly upstream: Socket
  readonly pipes: ReadonlyArray<Pipe>
}

/**
 * The way to one server on loopback, as a network between two machines: it can be cut, slow and lossy. What one answer in
 * the middle of a stream does is `TcpProxy`'s matter.
 */
export class Link {
  readonly #target: number
  readonly #random: () => number
  readonly #passage: MakePassage | undefined
  readonly #weather: Weather = { delayMs: 0, lossRate: 0 }
  readonly #connections = new Set<Connection>()
  /** Accepted during a silent cut: nobody has greeted them yet. */
  readonly #waiting = new Set<Socket>()
  #server: Server | null = null
  #port = 0
  #cut: CutMode | null = null

  private constructor(target: number, random: () => number, passage?: MakePassage) {
    this.#target = target
    this.#random = random
    this.#passage = passage
  }

  /** `random`: uniform in [0, 1), decides what is lost. `passage`: of each direction of each connection. Default: open. */
  static async to(port: number, random: () => number = Math.random, passage?: MakePassage): Promise<Link> {
    const link = new Link(port, random, passage)
    await link.#listen()
    return link
  }

  get port(): number {
    return this.#port
  }

  /** How it is cut; null: it is not. */
  get isCut(): CutMode | null {
    return this.#cut
  }

  get weather(): Readonly<Weather> {
    return this.#weather
  }

  /** Connections that pass through it, those that wait for the end of a silent cut not among them. */
  get connections(): number {
    return this.#connections.size
  }

  cut(mode: CutMode = "silent"): void {
    this.#cut = mode
    if (mode === "reset") this.#reset()
    else for (const { pipes } of this.#connections) for (const pipe of pipes) pipe.hold()
  }

  /** Every piece takes so long, either way. */
  delay(milliseconds: number): void {
    this.#weather.delayMs = milliseconds
  }

  /** Of all pieces so many get lost, between 0 and 1, and are sent again by TCP: late, and in order. */
  lose(rate: number): void {
    this.#weather.lossRate = rate
  }

  /** As on the first day. What waits goes on, unless its sides have given it up. */
  heal(): void {
    this.#cut = null
    this.#weather.delayMs = 0
    this.#weather.lossRate = 0
    for (const { pipes } of this.#connections) for (const pipe of pipes) pipe.resume()
    for (const socket of this.#waiting) this.#join(socket)
    this.#waiting.clear()
  }

  async close(): Promise<void> {
    this.#reset()
    await new Promise<void>((resolve) => (this.#server === null ? resolve() : this.#server.close(() => resolve())))
  }

  #reset(): void {
    for (const { client, upstream } of this.#connections) {
      client.resetAndDestroy()
      upstream.resetAndDestroy()
    }
    for (const socket of this.#waiting) socket.resetAndDestroy()
    this.#waiting.clear()
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
      if (this.#cut === "reset") return void client.resetAndDestroy()
      if (this.#cut === null) return this.#join(client)
      this.#waiting.add(client)
      client.on("error", () => client.destroy())
      client.on("close", () => this.#waiting.delete(client))
    })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(0, "127.0.0.1", resolve)
    })
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("the link has no port")
    this.#port = address.port
  }

  #join(client: Socket): void {
    const upstream = connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
    const pipes = [
      new Pipe(client, upstream, this.#weather, this.#random, this.#passage),
      new Pipe(upstream, client, this.#weather, this.#random, this.#passage)
    ]
    const connection: Connection = { client, upstream, pipes }
    this.#connections.add(connection)
    // A connection that one side has broken is broken for the other one, too.
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      socket.on("error", () => other.resetAndDestroy())
      socket.on("close", () => {
        if (!client.destroyed || !upstream.destroyed) return
        for (const pipe of pipes) pipe.close()
        this.#connections.delete(connection)
      })
    }
  }
}
