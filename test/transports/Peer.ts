import { randomBytes, randomUUID } from "node:crypto"
import type { AckFrame, ErrorFrame, RegisteredFrame, ServerFrame } from "../../src/protocol/Frames.ts"
import { type Keypair, makeKeypair, seal, unsealed } from "../harness/Keypair.ts"
import { type Received, Wire, type WireOptions } from "../harness/Wire.ts"
import type { Transport } from "./startTransport.ts"

const PROCESS = { pid: 1, ppid: 1, uid: 0, gid: 0, hostname: "h", start_time: 1, executable: "/x" }

/** A node as the transport sees one: builds frames, good and bad, and collects what comes back. */
export class Peer {
  readonly appId: string
  readonly keys: Keypair
  readonly wire: Wire
  readonly signed: boolean
  readonly received: Array<Received> = []
  seq = 0
  readonly #serverKey: string

  constructor(transport: Transport, wire: Wire, options: { signed?: boolean; appId?: string; keys?: Keypair } = {}) {
    this.appId = options.appId ?? randomUUID()
    this.keys = options.keys ?? makeKeypair()
    this.wire = wire
    this.signed = options.signed ?? false
    this.#serverKey = transport.serverKeys.text
    wire.listen(this.appId, (received) => this.received.push(received))
  }

  static async connect(
    transport: Transport,
    options: { signed?: boolean; appId?: string; keys?: Keypair } = {},
    wireOptions: WireOptions = {}
  ): Promise<Peer> {
    return new Peer(transport, await Wire.open(transport.url, wireOptions), options)
  }

  get isLegacy(): boolean {
    return this.wire.hello === null
  }

  get frames(): ReadonlyArray<ServerFrame> {
    return this.received.map(({ frame }) => frame)
  }

  get errors(): ReadonlyArray<ErrorFrame> {
    return this.frames.filter((frame) => frame.type === "error")
  }

  get acks(): ReadonlyArray<number> {
    return this.frames.filter((frame): frame is AckFrame => frame.type === "ack").map((frame) => frame.seq)
  }

  get registered(): RegisteredFrame | undefined {
    return this.frames.findLast((frame) => frame.type === "registered")
  }

  sealed(frame: object): string {
    const message = JSON.stringify(frame)
    return this.signed ? seal("trails.v1.child", message, this.keys.secretKey) : unsealed(message)
  }

  send(frame: object): void {
    this.wire.send(this.sealed(frame))
  }

  registerFrame(changes: Readonly<Record<string, unknown>> = {}): object {
    return {
      type: "register",
      app_id: this.appId,
      parent_id: null,
      app_name: "peer",
      child_pub_key: this.keys.text,
      process_info: PROCESS,
      role_refs: [],
      ...(this.isLegacy
        ? {}
        : {
            nonce: this.wire.hello?.nonce,
            client_nonce: randomBytes(32).toString("base64"),
            server_key: this.#serverKey,
            start_day: 1
          }),
      ...changes
    }
  }

  reRegisterFrame(changes: Readonly<Record<string, unknown>> = {}): object {
    return {
      type: "re_register",
      app_id: this.appId,
      last_seq: 0,
      pub_key: this.keys.text,
      ...(this.isLegacy
        ? {}
        : {
            incarnation: 1,
            nonce: this.wire.hello?.nonce,
            client_nonce: randomBytes(32).toString("base64"),
            server_key: this.#serverKey
          }),
      ...changes
    }
  }

  statusFrame(payload: unknown = {}, changes: Readonly<Record<string, unknown>> = {}): object {
    return {
      type: "message",
      app_id: this.appId,
      ...(this.isLegacy ? {} : { incarnation: 1, start_day: 1 }),
      header: { msg_type: "Status", timestamp: 1, seq: ++this.seq, correlation_id: null },
      payload,
      ...changes
    }
  }

  /** Sends a registration and waits for its answer. */
  async register(changes: Readonly<Record<string, unknown>> = {}): Promise<ServerFrame> {
    return await this.attach(this.registerFrame(changes))
  }

  async attach(frame: object): Promise<ServerFrame> {
    const answer = this.next((one) => one.type === "registered" || one.type === "error")
    this.send(frame)
    return await answer
  }

  status(payload: unknown = {}): number {
    this.send(this.statusFrame(payload))
    return this.seq
  }

  /** The next frame for this node that matches; those before it stay in `received`. */
  next(matches: (frame: ServerFrame) => boolean, withinMs = 5000): Promise<ServerFrame> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no such frame came in time")), withinMs)
      const stop = this.wire.onClose(() => {
        clearTimeout(timer)
        reject(new Error("the socket closed before the frame came"))
      })
      this.wire.listen(this.appId, (received) => {
        this.received.push(received)
        if (!matches(received.frame)) return
        clearTimeout(timer)
        stop()
        this.wire.listen(this.appId, (later) => this.received.push(later))
        resolve(received.frame)
      })
    })
  }
}
