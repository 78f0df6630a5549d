import { WebSocket, WebSocketServer } from "ws"

/** What is done to one text on its way: it goes on as it is, changed, several times, later or never. */
export type Meddle = (text: string, connection: MeddledConnection) => ReadonlyArray<string>

export interface MeddledConnection {
  /** Texts of the server in the order of their arrival. */
  readonly fromServer: ReadonlyArray<string>
  readonly fromClient: ReadonlyArray<string>
  /** To the client, as if the server had sent it. */
  readonly inject: (text: string) => void
}

const asItIs: Meddle = (text) => [text]

/** A man in the middle on WebSocket level: between clients and one trailsd, with everything in his hands. */
export class Meddler {
  /** Subprotocol that he selects towards the client; `null`: none. */
  selects: string | null = "trails.v1"
  toClient: Meddle = asItIs
  toServer: Meddle = asItIs
  readonly connections: Array<MeddledConnection> = []
  readonly #server: WebSocketServer
  readonly #target: string

  private constructor(server: WebSocketServer, target: string) {
    this.#server = server
    this.#target = target
    server.on("connection", (client) => this.#join(client))
  }

  static async inFrontOf(target: string): Promise<Meddler> {
    let meddler: Meddler | null = null
    const server = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      handleProtocols: () => meddler?.selects ?? false
    })
    meddler = new Meddler(server, target)
    await new Promise((resolve) => server.once("listening", resolve))
    return meddler
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as { readonly port: number }).port}/ws`
  }

  cutAll(): void {
    for (const client of this.#server.clients) client.terminate()
  }

  async close(): Promise<void> {
    this.cutAll()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: WebSocket): void {
    const upstream = new WebSocket(this.#target, ["trails.v1"], { perMessageDeflate: false })
    const fromServer: Array<string> = []
    const fromClient: Array<string> = []
    const waiting: Array<string> = []
    const connection: MeddledConnection = {
      fromServer,
      fromClient,
      inject: (text) => client.readyState === WebSocket.OPEN && client.send(text)
    }
    this.connections.push(connection)
    const close = (): void => {
      client.terminate()
      upstream.terminate()
    }
    for (const socket of [client, upstream]) {
      socket.on("error", close)
      socket.on("close", close)
    }
    upstream.on("open", () => {
      for (const text of waiting.splice(0)) upstream.send(text)
    })
    upstream.on("message", (data: Buffer) => {
      fromServer.push(data.toString())
      for (const text of this.toClient(data.toString(), connection)) connection.inject(text)
    })
    client.on("message", (data: Buffer) => {
      fromClient.push(data.toString())
      for (const text of this.toServer(data.toString(), connection)) {
        if (upstream.readyState === WebSocket.OPEN) upstream.send(text)
        else waiting.push(text)
      }
    })
  }
}
