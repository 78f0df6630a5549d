import type { Platform, SocketEvents, SocketPort } from "./Platform.ts"

/**
 * How long a server may take for its first word before it is dialled again, milliseconds: half of its ping interval, and up
 * to half as much again, so that thousands who wait for one server do not dial together. Between these bounds, since a
 * server under a storm lets some wait for many seconds; `unknown`: a first connection, that knows no interval yet.
 */
const PATIENCE_MS = { least: 500, most: 10_000, unknown: 5000 } as const

/**
 * One socket to a server of several replicas, of which one may be frozen, or cut off without a word: when nothing was heard
 * for a while it dials once more, after twice as long again, and so on until it is ended. The first socket to speak is it.
 * - D1 at most two are open: the first, which has waited longest at a server whose clients come back all at once, and the
 *   latest. Where the platform connects one at a time, it is the latest alone.
 * - D2 its user sends nothing before the server has spoken, so that nothing can have been heard on a socket that is dropped.
 * - D3 it is closed when each of its sockets is: the first, when it is refused at once, waits for no second.
 */
export class Dial implements SocketPort {
  readonly #platform: Platform
  readonly #url: string
  readonly #events: Omit<SocketEvents, "opened">
  /** In the order in which they were dialled; only these are listened to. */
  #sockets: Array<SocketPort> = []
  #spoke = false
  #stopTimer: () => void = () => {}

  /** `pingIntervalMs`: the server's, as an earlier session knew it; 0: unknown, or none. */
  constructor(platform: Platform, url: string, pingIntervalMs: number, events: Omit<SocketEvents, "opened">) {
    this.#platform = platform
    this.#url = url
    this.#events = events
    const { least, most, unknown } = PATIENCE_MS
    const patience = pingIntervalMs === 0 ? unknown : Math.min(most, Math.max(least, pingIntervalMs / 2))
    this.#connect()
    this.#redial(patience * (1 + platform.random() / 2))
  }

  send(text: string): void {
    this.#sockets[0]?.send(text)
  }

  close(): void {
    this.#stopTimer()
    for (const socket of this.#sockets) socket.close()
  }

  terminate(): void {
    this.#stopTimer()
    this.#drop(this.#sockets)
  }

  #redial(patienceMs: number): void {
    this.#stopTimer = this.#platform.later(patienceMs, () => {
      // D1
      this.#drop(this.#sockets.splice(this.#platform.connectsBeside ? 1 : 0))
      this.#connect()
      this.#redial(patienceMs * 2)
    })
  }

  #connect(): void {
    const socket = this.#platform.connect(this.#url, {
      opened: () => {},
      message: (text) => {
        if (!this.#sockets.includes(socket)) return
        if (!this.#spoke) this.#take(socket)
        this.#events.message(text)
      },
      alive: () => {
        if (this.#sockets.includes(socket)) this.#events.alive()
      },
      closed: (reason) => {
        const at = this.#sockets.indexOf(socket)
        if (at === -1) return
        this.#sockets.splice(at, 1)
        // D3
        if (this.#sockets.length > 0) return
        this.#stopTimer()
        this.#events.closed(reason)
      }
    })
    this.#sockets.push(socket)
  }

  #take(socket: SocketPort): void {
    this.#spoke = true
    this.#stopTimer()
    const others = this.#sockets.filter((other) => other !== socket)
    this.#sockets = [socket]
    this.#drop(others)
  }

  #drop(sockets: ReadonlyArray<SocketPort>): void {
    for (const socket of sockets) socket.terminate()
  }
}
