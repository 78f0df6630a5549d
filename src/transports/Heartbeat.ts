export interface Pingable {
  /** Bytes received so far: any of them is a sign of life, also in the middle of a large frame. */
  readonly bytesRead: number
  readonly ping: () => void
}

export interface Pinged {
  readonly pingIntervalMs: number
}

/**
 * Half-open detection of one socket, driven by the one sweep. It is pinged once an interval, whatever is heard of it: the peer
 * leaves a server of which it hears nothing, and what it says itself need not be answered. Silent for two intervals, and for
 * one of them after a ping → dead.
 * With the sweep's grain that is at most 2 intervals + 1 s (P8). Many nodes on a socket: the shortest interval counts.
 */
export class Heartbeat {
  readonly #socket: Pingable
  /** 0 = off */
  #interval = 0
  #read = 0
  #heardAt = 0
  #pingedAt = 0
  /** When the first ping since then was sent; null: none was. */
  #askedAt: number | null = null

  constructor(socket: Pingable) {
    this.#socket = socket
  }

  add(intervalMs: number, now: number): void {
    if (intervalMs === 0 || (this.#interval !== 0 && this.#interval <= intervalMs)) return
    if (this.#interval === 0) this.#pingedAt = now
    this.#hear(now)
    this.#interval = intervalMs
  }

  remove(intervalMs: number, rest: Iterable<Pinged>): void {
    if (intervalMs === 0 || intervalMs !== this.#interval) return
    this.#interval = 0
    for (const { pingIntervalMs } of rest) {
      if (pingIntervalMs !== 0 && (this.#interval === 0 || pingIntervalMs < this.#interval))
        this.#interval = pingIntervalMs
    }
  }

  /** `excused`: we have not read this socket ourselves, so its silence says nothing (PROTOCOL §7). */
  isDead(now: number, excused: boolean): boolean {
    if (this.#interval === 0) return false
    if (excused || this.#socket.bytesRead !== this.#read) this.#hear(now)
    const interval = this.#interval
    if (this.#askedAt !== null && now - this.#askedAt >= interval && now - this.#heardAt >= 2 * interval) return true
    if (now - this.#pingedAt >= interval) {
      this.#pingedAt = now
      this.#askedAt ??= now
      this.#socket.ping()
    }
    return false
  }

  #hear(now: number): void {
    this.#read = this.#socket.bytesRead
    this.#heardAt = now
    this.#askedAt = null
  }
}
