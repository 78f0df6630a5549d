import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { WebSocketServer as WsServer } from "ws"
import type { Room } from "../actors/SessionPort.ts"
import { type SocketOwner, TrailsSocket } from "./TrailsSocket.ts"
import type { EndReason, WatchOutput } from "./WatchOutput.ts"

/** Whoever watches has nothing to say. */
const MAX_MESSAGE = 1024
const CLOSE_CODES: Readonly<Record<EndReason, number>> = { "going away": 1001, "failed; come again": 1011 }

/** A WebSocket of one who watches: each event a text message with the cursor behind it. What it sends closes it. */
export class WatchSocket implements SocketOwner, WatchOutput {
  readonly #socket: TrailsSocket
  readonly #backlogBytes: number
  readonly #onGone: () => void
  #isGone = false
  #hungry: (() => void) | null = null

  /** `onGone` is called once, when nothing can be sent any more. */
  constructor(socket: TrailsSocket, stream: Duplex, backlogBytes: number, onGone: () => void) {
    this.#socket = socket
    this.#backlogBytes = backlogBytes
    this.#onGone = onGone
    socket.own(this, stream)
  }

  get room(): Room {
    if (this.#isGone) return "gone"
    return this.#socket.bufferedAmount < this.#backlogBytes ? "some" : "none"
  }

  whenRoom(then: () => void): void {
    // Asked again by the sweep: one listener is enough.
    if (this.#hungry === null) this.#socket.onceDrained(this.#feed)
    this.#hungry = then
  }

  open(cursor: string): void {
    this.cursor(cursor)
  }

  event(cursor: string, json: string): void {
    this.#socket.write(`{"type":"event","cursor":"${cursor}","event":${json}}`)
  }

  cursor(cursor: string): void {
    this.#socket.write(`{"type":"cursor","cursor":"${cursor}"}`)
  }

  end(cursor: string, reason: EndReason): void {
    if (this.#isGone) return
    this.cursor(cursor)
    this.#socket.shut(CLOSE_CODES[reason], reason)
    this.#leave()
  }

  onMessage(): void {
    if (this.#isGone) return
    this.#socket.shut(1008, "nothing is read here")
    this.#leave()
  }

  onPeerClosing(): void {
    this.#leave()
  }

  onViolation(): void {
    this.#leave()
  }

  onEnding(): void {
    this.#leave()
  }

  onClosed(): void {
    this.#leave()
  }

  readonly #feed = (): void => {
    const then = this.#hungry
    this.#hungry = null
    then?.()
  }

  #leave(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#onGone()
  }
}

export type Upgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => TrailsSocket | null

/** Every bound of `ws` made explicit, as for nodes. */
const wsOptions = (closeMs: number) =>
  ({
    noServer: true,
    clientTracking: false,
    WebSocket: TrailsSocket,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE,
    autoPong: false,
    allowSynchronousEvents: true,
    closeTimeout: closeMs,
    handleProtocols: (): false => false
  }) as const

/** From a request to a socket; null: it was no proper upgrade, or the peer has gone, and `ws` has answered. */
export const makeUpgrade = (closeMs: number): Upgrade => {
  const ws = new WsServer<typeof TrailsSocket>(wsOptions(closeMs))
  return (request, stream, head) => {
    let upgraded: TrailsSocket | null = null
    ws.handleUpgrade(request, stream, head, (socket) => {
      upgraded = socket
    })
    return upgraded
  }
}
