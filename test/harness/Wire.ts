import type { KeyObject } from "node:crypto"
import { WebSocket } from "ws"
import type { HelloFrame, ServerFrame } from "../../src/protocol/Frames.ts"
import { isSealedBy } from "./Keypair.ts"

export interface WireOptions {
  readonly dialect?: "v1" | "legacy"
  /** The server's pinned key: when set, every signed server frame is verified; a forged one throws the socket away. */
  readonly pinned?: KeyObject | null
  readonly localAddress?: string
  readonly withinMs?: number
  readonly headers?: Readonly<Record<string, string>>
}

export interface Closed {
  readonly code: number
  readonly reason: string
}

/** A server frame with the text that it came in. */
export interface Received<F extends ServerFrame = ServerFrame> {
  readonly frame: F
  readonly text: string
  readonly signed: boolean
}

type Listener = (received: Received) => void

/** Frames that nobody listened for; bounded, so that a long run does not grow. */
const KEPT = 200

/** One client socket: many nodes may share it (PROTOCOL §1). */
export class Wire {
  readonly socket: WebSocket
  readonly closed: Promise<Closed>
  hello: HelloFrame | null = null
  isOpen = true
  /** When anything came from the server, pings included; monotonic milliseconds. */
  heardAt = performance.now()
  /** Latest frames of no listening node, oldest first. */
  readonly unclaimed: Array<Received> = []
  readonly #listeners = new Map<string, Listener>()
  readonly #waiting = new Set<Listener>()
  readonly #onClose = new Set<() => void>()
  readonly #pinned: KeyObject | null

  private constructor(socket: WebSocket, pinned: KeyObject | null) {
    this.socket = socket
    this.#pinned = pinned
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        this.isOpen = false
        resolve({ code, reason: reason.toString() })
        for (const listener of this.#onClose) listener()
      })
    })
    socket.on("error", () => socket.terminate())
    socket.on("ping", () => (this.heardAt = performance.now()))
    socket.on("message", (data: Buffer) => this.#receive(data.toString()))
  }

  /** Resolves when the socket can be used: after `hello` (v1), after the upgrade (legacy). */
  static async open(url: string, options: WireOptions = {}): Promise<Wire> {
    const legacy = options.dialect === "legacy"
    const handshakeTimeout = options.withinMs ?? 60_000
    const socket = new WebSocket(url, legacy ? [] : ["trails.v1"], {
      perMessageDeflate: false,
      handshakeTimeout,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
      ...(options.headers === undefined ? {} : { headers: options.headers })
    })
    const failed = new Promise<never>((_, reject) => {
      socket.once("error", reject)
      socket.once("close", (code) => reject(new Error(`closed with ${code} before it was usable`)))
    })
    failed.catch(() => {})
    const wire = new Wire(socket, options.pinned ?? null)
    const greeted = legacy ? null : wire.receive("hello", (frame) => frame.type === "hello", handshakeTimeout)
    greeted?.catch(() => {})
    await Promise.race([failed, new Promise((resolve) => socket.once("open", resolve))])
    if (greeted !== null) wire.hello = (await Promise.race([failed, greeted])).frame as HelloFrame
    return wire
  }

  send(text: string): void {
    this.socket.send(text)
  }

  /** Closing handshake. */
  async close(code = 1000): Promise<Closed> {
    this.socket.close(code)
    return await this.closed
  }

  /** No closing handshake: the server sees a FIN or RST only. */
  terminate(): void {
    this.socket.terminate()
  }

  /** Stops reading: TCP back-pressure reaches the server, and pings go unanswered. */
  freeze(): void {
    this.socket.pause()
  }

  thaw(): void {
    this.socket.resume()
  }

  listen(appId: string, listener: Listener | null): void {
    if (listener === null) this.#listeners.delete(appId)
    else this.#listeners.set(appId, listener)
  }

  onClose(listener: () => void): () => void {
    this.#onClose.add(listener)
    if (!this.isOpen) listener()
    return () => this.#onClose.delete(listener)
  }

  /** The next frame that matches, among those to come and those that nobody listened for. */
  receive(what: string, matches: (frame: ServerFrame) => boolean, withinMs = 10_000): Promise<Received> {
    const kept = this.unclaimed.findIndex((received) => matches(received.frame))
    if (kept >= 0) return Promise.resolve(this.unclaimed.splice(kept, 1)[0]!)
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(listener)
        forget()
        settle()
      }
      const listener: Listener = (received) => {
        if (matches(received.frame)) done(() => resolve(received))
      }
      const timer = setTimeout(() => done(() => reject(new Error(`no ${what} within ${withinMs} ms`))), withinMs)
      this.#waiting.add(listener)
      let forget = () => {}
      forget = this.onClose(() => done(() => reject(new Error(`the socket closed before ${what}`))))
    })
  }

  #receive(text: string): void {
    this.heardAt = performance.now()
    const frame = JSON.parse(text) as ServerFrame & { readonly sig?: string | null }
    const signed = typeof frame.sig === "string"
    if (signed && this.#pinned !== null && !isSealedBy(text, this.#pinned)) {
      this.socket.terminate()
      return
    }
    const received: Received = { frame, text, signed }
    const appId = "app_id" in frame ? frame.app_id : undefined
    const listener = appId === undefined ? undefined : this.#listeners.get(appId)
    if (listener !== undefined) return listener(received)
    const before = this.#waiting.size
    for (const waiting of [...this.#waiting]) waiting(received)
    if (this.#waiting.size < before) return
    this.unclaimed.push(received)
    if (this.unclaimed.length > KEPT) this.unclaimed.shift()
  }
}
