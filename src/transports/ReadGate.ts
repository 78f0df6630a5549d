import type { ByteBudget } from "./ByteBudget.ts"
import type { SocketLimits } from "./SocketLimits.ts"

/** Why a socket is not read. Each has its own bit, so that one who resumes does not undo another's pause. */
const REASONS = {
  /** The socket's own window of frames in flight is full. */
  window: 1,
  /** The process's budget of bytes is spent. */
  process: 2,
  /** The mailbox of an actor is full. */
  mailbox: 4,
  /** A registration waits for its turn. */
  admission: 8,
  /** A stranger has sent all that it may before its registration is answered. */
  stranger: 16,
  /** The server is draining. */
  drain: 32
} as const

export type PauseReason = keyof typeof REASONS

export interface Readable {
  readonly pause: () => void
  readonly resume: () => void
}

/**
 * Whether a socket is read (P17): counts what arrived and is not settled, pauses at the bounds, resumes at half of them.
 * What was read in one chunk is still delivered after a pause: the overshoot is one chunk of the kernel's.
 */
export class ReadGate {
  readonly #socket: Readable
  readonly #limits: SocketLimits
  readonly #budget: ByteBudget
  #reasons = 0
  #frames = 0
  #bytes = 0
  #closed = false

  constructor(socket: Readable, limits: SocketLimits, budget: ByteBudget) {
    this.#socket = socket
    this.#limits = limits
    this.#budget = budget
  }

  get isPaused(): boolean {
    return this.#reasons !== 0
  }

  /** Frames that arrived and are not settled. */
  get frames(): number {
    return this.#frames
  }

  /** A frame has arrived. */
  take(bytes: number): void {
    this.#frames++
    this.#bytes += bytes
    this.#budget.take(this, bytes)
    if (this.#frames >= this.#limits.inFlight || this.#bytes >= this.#limits.inFlightBytes) this.pause("window")
  }

  /** Frames have been dealt with. */
  give(frames: number, bytes: number): void {
    this.#frames -= frames
    this.#bytes -= bytes
    if (this.#frames <= this.#limits.inFlight / 2 && this.#bytes <= this.#limits.inFlightBytes / 2)
      this.resume("window")
    this.#budget.give(bytes)
  }

  pause(reason: PauseReason): void {
    if (this.#closed) return
    const before = this.#reasons
    this.#reasons |= REASONS[reason]
    if (before === 0) this.#socket.pause()
  }

  resume(reason: PauseReason): void {
    if ((this.#reasons & REASONS[reason]) === 0) return
    this.#reasons &= ~REASONS[reason]
    if (this.#reasons === 0) this.#socket.resume()
  }

  /** The socket is closing: it is read to its end, so that the closing handshake can be seen. */
  close(): void {
    this.#closed = true
    this.#budget.forget(this)
    if (this.#reasons !== 0) this.#socket.resume()
    this.#reasons = 0
  }
}
