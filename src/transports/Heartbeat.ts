export interface Pingable {
  /** Bytes received so far: any of them is a sign of life, also in the middle of a large frame. */
  readonly bytesRead: number
  readonly ping: () => void
}

export interface Pinged {
  readonly pingIntervalMs: number
}

/**
 * Half-open detection of one socket, driven by the one sweep: silent for an interval → ping; silent for another → dead.
 * With the sweep's grain that is at most 2 intervals + 1 s (P8). Many nodes on a socket: the shortest interval counts.
 */
export class Heartbeat {
  readonly #socket: Pingable
  /** 0 = off */
  #interval = 0
  #read = 0
  #heardAt = 0
  #pingedAt = 0

  constructor(socket: Pingable) {
    this.#socket = socket
  }

  add(intervalMs: number, now: number): void {
    if (intervalMs === 0 || (this.#interval !== 0 && this.#interval <= intervalMs)) return
    if (this.#interval === 0) this.#hear(now)
    this.#interval = intervalMs
  }

  remove(intervalMs: number, rest: Iterable<Pinged>): void {
    if (intervalMs !== this.#interval) return
    this.#interval = 0
    for (const { pingIntervalMs } of rest) {
      if (pingIntervalMs !== 0 && (this.#interval === 0 || pingIntervalMs < this.#interval))
        this.#interval = pingIntervalMs
    }
  }

  /** `excused`: we have not read this socket ourselves, so its silence says nothing (PROTOCOL §7). */
  isDead(now: number, excused: boolean): boolean {
    if (this.#interval === 0) return false
    if (excused || this.#socket.bytesRead !== this.#read) {
      this.#hear(now)
      return false
    }
    if (this.#pingedAt !== 0) return now - this.#pingedAt >= this.#interval
    if (now - this.#heardAt >= this.#interval) {
      this.#pingedAt = now
      this.#socket.ping()
    }
    return false
  }

  #hear(now: number): void {
    this.#read = this.#socket.bytesRead
    this.#heardAt = now
    this.#pingedAt = 0
  }
}
