import type { TrailsSocket } from "./TrailsSocket.ts"

/**
 * What waits for a socket's peer to read it, and who waits for that. Events and commands are sent while there is room, so
 * that a peer which reads is never cut for what waits for it (`outboundBytes`).
 */
export class Backlog {
  readonly #socket: TrailsSocket
  readonly #most: number
  /** Bytes of what is being committed, and is sent then. */
  #aside = 0
  #hungry: Array<() => void> | null = null
  #awaitsDrain = false

  /** `most`: bytes. */
  constructor(socket: TrailsSocket, most: number) {
    this.#socket = socket
    this.#most = most
  }

  get isFull(): boolean {
    return this.#socket.bufferedAmount + this.#aside >= this.#most
  }

  /** Calls `then` once when there may be room again. */
  whenRoom(then: () => void): void {
    ;(this.#hungry ??= []).push(then)
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.#socket.onceDrained(() => {
      this.#awaitsDrain = false
      this.#feed()
    })
  }

  /** What was set aside and is given back unsent makes room without anything that drains. */
  setAside(bytes: number): void {
    this.#aside += bytes
    if (bytes < 0 && !this.isFull) this.#feed()
  }

  #feed(): void {
    const hungry = this.#hungry ?? []
    this.#hungry = null
    for (const then of hungry) then()
  }
}
