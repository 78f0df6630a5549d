import { createServer, type ListenOptions, type Server, type Socket } from "node:net"
import { platform } from "node:process"

/**
 * The loop accepts one connection a turn and listener: with one listener ten thousand clients that come back at once wait
 * in the kernel, where nobody sees that they are alive. With several on the same port (SO_REUSEPORT) the kernel spreads
 * them.
 */
const LISTENERS = platform === "linux" ? 8 : 1
/** TCP connections that the kernel holds, per listener, until they are accepted. */
const BACKLOG = 2048

const ignore = (): void => {}

const listen = (server: Server, options: ListenOptions): Promise<Server> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(options, () => {
      server.off("error", reject)
      // An accept that fails (no descriptors left) is that one connection's misfortune, not the listener's end.
      server.on("error", ignore)
      resolve(server)
    })
  })

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()))

/** The port that a server has to itself; also notices, as no shared listener would, that it is in use. */
const probe = async (host: string, port: number): Promise<number> => {
  const server = await listen(createServer(), { host, port })
  const address = server.address()
  await close(server)
  return typeof address === "object" && address !== null ? address.port : port
}

/**
 * Listeners beside `main`, an HTTP or HTTPS server, that hand their connections to it. At most `most` connections are open
 * over all of them; one more is closed at once.
 */
export class Listeners {
  readonly #main: Server
  readonly #most: number
  readonly #others: ReadonlyArray<Server>
  #open = 0
  #empty: () => void = ignore

  constructor(main: Server, most: number) {
    this.#main = main
    this.#most = most
    main.on("connection", this.#count)
    this.#others = Array.from({ length: LISTENERS - 1 }, () =>
      createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void main.emit("connection", socket))
    )
  }

  /** Opens the port (0: any); rejects with Node's error. */
  async open(host: string, port: number): Promise<{ readonly host: string; readonly port: number }> {
    if (LISTENERS === 1) await listen(this.#main, { host, port, backlog: BACKLOG })
    else {
      const own = { host, port: await probe(host, port), backlog: BACKLOG, reusePort: true }
      await listen(this.#main, own)
      for (const other of this.#others) await listen(other, own)
    }
    const address = this.#main.address()
    return typeof address === "object" && address !== null
      ? { host: address.address, port: address.port }
      : { host, port }
  }

  /** No new connection from now on; those that exist stay. */
  close(): void {
    for (const server of [this.#main, ...this.#others]) if (server.listening) server.close()
  }

  /** Calls `then` once no connection is open, at once if none is. */
  whenEmpty(then: () => void): void {
    if (this.#open === 0) then()
    else this.#empty = then
  }

  readonly #count = (socket: Socket): void => {
    if (++this.#open > this.#most) socket.destroy()
    socket.on("close", this.#uncount)
  }

  readonly #uncount = (): void => {
    if (--this.#open === 0) this.#empty()
  }
}
