import { readSync } from "node:fs"
import { Socket } from "node:net"

/** What is read at most when the writers' leader has ended: others may go on writing for ever. Bytes. */
const REST = 4 * 1024 * 1024
const CHUNK = 64 * 1024

/**
 * Reads a pipe as it is filled. Whoever consumes it says when to pause, and then its writers are held up as by any full
 * pipe.
 */
export class PipeReader {
  readonly #descriptor: number
  readonly #socket: Socket
  readonly #consume: (chunk: Buffer) => void
  #isOver = false

  /** `descriptor`: not blocking; owned by the reader from now on. */
  constructor(descriptor: number, consume: (chunk: Buffer) => void) {
    this.#descriptor = descriptor
    this.#consume = consume
    this.#socket = new Socket({ fd: descriptor, readable: true, writable: false })
    this.#socket.on("data", consume)
    this.#socket.on("error", () => this.#end())
    this.#socket.on("close", () => (this.#isOver = true))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isOver) this.#socket.resume()
  }

  /** What is in it now, though others may hold it open; then no more. */
  finish(): void {
    // A destroyed socket has closed its descriptor, whose number may be another file's by now; that it has is told later.
    if (this.#isOver || this.#socket.destroyed) return
    this.#socket.pause()
    this.#socket.removeAllListeners("data")
    for (let chunk = this.#socket.read() as Buffer | null; chunk !== null; chunk = this.#socket.read() as Buffer | null)
      this.#consume(chunk)
    const buffer = Buffer.allocUnsafe(CHUNK)
    try {
      for (let rest = REST; rest > 0;) {
        const count = readSync(this.#descriptor, buffer)
        if (count === 0) break
        this.#consume(Buffer.from(buffer.subarray(0, count)))
        rest -= count
      }
    } catch {
      // EAGAIN: that was all.
    }
    this.#end()
  }

  /** Its writers get EPIPE from now on. */
  #end(): void {
    this.#isOver = true
    this.#socket.destroy()
  }

  stop(): void {
    this.#end()
  }
}
