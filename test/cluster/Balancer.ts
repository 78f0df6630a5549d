import { connect, createServer, type Server, type Socket } from "node:net"

/** How long a server may take to say that it is ready, milliseconds. */
const PATIENCE_MS = 1000

/** One of the servers behind it: any port that leads there. */
interface Member {
  readonly name: string
  readonly port: number
  ready: boolean
  /** The look at it that is under way. */
  looking: Promise<void> | null
}

/**
 * A TCP load balancer: each connection goes to the next server, in turn, whose `/readyz` answers 200. Nothing is read of
 * what passes, so that HTTP and WebSockets go through it alike. Connections stay where they are.
 */
export class Balancer {
  readonly port: number
  readonly #members: ReadonlyArray<Member>
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #timer: NodeJS.Timeout
  #turn = 0

  private constructor(server: Server, port: number, members: ReadonlyArray<Member>, everyMs: number) {
    this.#server = server
    this.port = port
    this.#members = members
    server.on("connection", (client: Socket) => this.#accept(client))
    this.#timer = setInterval(() => void this.#lookAtAll(), everyMs)
  }

  /** On `port`, in front of servers by their names and ports; looks at each of them every `everyMs`. */
  static async inFrontOf(
    port: number,
    servers: ReadonlyArray<{ readonly name: string; readonly port: number }>,
    everyMs = 200
  ): Promise<Balancer> {
    const server = createServer({ noDelay: true, pauseOnConnect: true })
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(port, "127.0.0.1", resolve)
    })
    const members = servers.map(({ name, port }) => ({ name, port, ready: false, looking: null }))
    const balancer = new Balancer(server, port, members, everyMs)
    await balancer.#lookAtAll()
    return balancer
  }

  /** Names of the servers that it gives connections to at present. */
  get ready(): ReadonlyArray<string> {
    return this.#members.filter(({ ready }) => ready).map(({ name }) => name)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #next(): Member | null {
    for (let tried = 0; tried < this.#members.length; tried++) {
      const member = this.#members[this.#turn++ % this.#members.length]!
      if (member.ready) return member
    }
    return null
  }

  #accept(client: Socket): void {
    const member = this.#next()
    // Nobody is there to serve it: what the client would see of a host without a server.
    if (member === null) return void client.resetAndDestroy()
    const upstream = connect({ port: member.port, host: "127.0.0.1", noDelay: true })
    let answered = false
    upstream.once("data", () => (answered = true))
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      this.#sockets.add(socket)
      socket.on("error", () => other.resetAndDestroy())
      socket.on("close", () => {
        this.#sockets.delete(socket)
        other.destroySoon()
      })
      socket.pipe(other)
    }
    // Ended without a word: it may be gone since the last look.
    upstream.on("close", () => {
      if (!answered) void this.#look(member)
    })
  }

  async #lookAtAll(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#look(member)))
  }

  #look(member: Member): Promise<void> {
    member.looking ??= isReady(member.port).then((ready) => {
      member.ready = ready
      member.looking = null
    })
    return member.looking
  }
}

const isReady = async (port: number): Promise<boolean> => {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, {
      signal: AbortSignal.timeout(PATIENCE_MS),
      // A kept connection would say nothing of whether new ones can be made.
      headers: { connection: "close" }
    })
    await response.arrayBuffer()
    return response.status === 200
  } catch {
    return false
  }
}
