import { createServer, type Socket } from "node:net"
import { freePort } from "./freePort.ts"

/** What a client sees of a nats-server: it greets, takes every login, and can pose as any version. */
export class NatsGreeter {
  readonly received: Array<string> = []
  readonly port: number
  version: string
  /** Poses as good to the first that asks, and as old to the next. */
  flips = false
  readonly #server = createServer()
  readonly #sockets = new Set<Socket>()

  private constructor(port: number, version: string) {
    this.port = port
    this.version = version
  }

  static async start(version: string): Promise<NatsGreeter> {
    const greeter = new NatsGreeter(await freePort(), version)
    greeter.#server.on("connection", (socket) => greeter.#greet(socket))
    await new Promise<void>((resolve) => greeter.#server.listen(greeter.port, "127.0.0.1", resolve))
    return greeter
  }

  /** Ends every connection. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  dispose(): void {
    this.drop()
    this.#server.close()
  }

  #greet(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => this.#sockets.delete(socket))
    socket.on("data", (chunk) => {
      this.received.push(chunk.toString())
      if (chunk.includes("PING\r\n")) socket.write("PONG\r\n")
    })
    const { version } = this
    if (this.flips) this.version = version === "2.9.10" ? "2.14.0" : "2.9.10"
    const info = { server_name: "posing", version, max_payload: 1_048_576, proto: 1 }
    socket.write(`INFO ${JSON.stringify(info)}\r\n`)
  }
}
