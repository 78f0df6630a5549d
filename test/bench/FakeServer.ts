import { randomBytes, randomUUID } from "node:crypto"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { type WebSocket, WebSocketServer } from "ws"
import { type Keypair, makeKeypair, seal, unsealed } from "../harness/Keypair.ts"

/** What the tests look at in a client frame. */
export interface SeenFrame {
  readonly type: string
  readonly app_id: string
  readonly client_nonce: string
  readonly child_pub_key?: string
  readonly pub_key?: string
  readonly last_seq?: number
  readonly seq?: number
  readonly ack?: boolean
  readonly error?: string
  readonly header?: { readonly seq: number }
}

/** A server that says what a test wants it to say. */
export class FakeServer {
  readonly keys: Keypair
  readonly frames: Array<SeenFrame> = []
  sockets = 0
  /** Dealt with when the frame has been noted; null: frames are noted only. */
  onFrame: ((frame: SeenFrame, socket: WebSocket) => void) | null = null
  readonly #server: WebSocketServer
  readonly #nonces = new Map<WebSocket, string>()
  readonly #isSigned: boolean

  private constructor(server: WebSocketServer, keys: Keypair, isSigned: boolean) {
    this.#server = server
    this.keys = keys
    this.#isSigned = isSigned
    server.on("connection", (socket) => {
      this.sockets++
      const nonce = randomBytes(32).toString("base64")
      this.#nonces.set(socket, nonce)
      socket.on("message", (data: Buffer) => {
        const frame = JSON.parse(data.toString()) as SeenFrame
        this.frames.push(frame)
        this.onFrame?.(frame, socket)
      })
      this.say(socket, {
        type: "hello",
        nonce,
        server_pub_key: keys.text,
        server_time: Date.now(),
        level: isSigned ? "signed" : "open"
      })
    })
  }

  static async start(options: { readonly keys?: Keypair; readonly isSigned?: boolean } = {}): Promise<FakeServer> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "trails.v1" })
    await once(server, "listening")
    return new FakeServer(server, options.keys ?? makeKeypair(), options.isSigned ?? false)
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`
  }

  /** Sockets that are open now. */
  get connected(): number {
    return this.#server.clients.size
  }

  /** Seqs of the messages that came, in order. */
  get seqs(): ReadonlyArray<number> {
    return this.frames.flatMap(({ header }) => (header === undefined ? [] : [header.seq]))
  }

  say(socket: WebSocket, frame: object, key: Keypair = this.keys): void {
    const message = JSON.stringify(frame)
    socket.send(this.#isSigned ? seal("trails.v1.server", message, key.secretKey) : unsealed(message))
  }

  /** The answer to a registration. */
  accept(frame: SeenFrame, socket: WebSocket, changes: object = {}): void {
    this.say(socket, {
      type: "registered",
      app_id: frame.app_id,
      parent_id: null,
      child_pub_key: frame.child_pub_key ?? frame.pub_key,
      server_pub_key: this.keys.text,
      nonce: this.#nonces.get(socket),
      client_nonce: frame.client_nonce,
      incarnation: 1,
      epoch: 1,
      session: randomUUID(),
      last_seq: 0,
      limits: { max_frame: 1_048_576, max_in_flight: 1024, max_in_flight_bytes: 8_388_608 },
      ping_interval_ms: 30_000,
      ...changes
    })
  }

  ack({ app_id, header, seq }: SeenFrame, socket: WebSocket, key?: Keypair): void {
    this.say(socket, { type: "ack", app_id, incarnation: 1, seq: header?.seq ?? seq }, key)
  }

  error(frame: SeenFrame, socket: WebSocket, error: object): void {
    this.say(socket, { type: "error", app_id: frame.app_id, message: "because", retryable: false, ...error })
  }

  async close(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}
