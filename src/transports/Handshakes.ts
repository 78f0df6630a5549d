/** Somebody who waits for a place: a socket before its upgrade, or a connection before a registration. */
export interface Waiter {
  /** Its turn has come: it holds a place from now on, until it leaves. */
  readonly admitted: () => void
  /** It has waited too long; it holds nothing. */
  readonly refused: () => void
}

export interface HandshakeBounds {
  readonly handshakes: number
  readonly handshakeQueue: number
  readonly handshakesPerTurn: number
  readonly handshakeWaitMs: number
}

/**
 * Admission of handshakes, so that ten thousand clients that come back at once do not stall the event loop (DESIGN §9).
 * - H1 at most `handshakes` places are held; whoever is admitted calls `leave` exactly once.
 * - H2 who waits is admitted in order, registrations before upgrades: what was begun is finished first.
 * - H3 at most `handshakesPerTurn` are admitted in one turn of the event loop.
 * - H4 at most `handshakeQueue` upgrades wait, none longer than `handshakeWaitMs`. Registrations wait without a bound of
 *   their own: each belongs to an admitted socket, that is not read meanwhile.
 */
export class Handshakes {
  readonly #bounds: HandshakeBounds
  readonly #now: () => number
  /** Insertion-ordered, with the time of entry. */
  readonly #registrations = new Map<Waiter, number>()
  readonly #upgrades = new Map<Waiter, number>()
  #held = 0
  #thisTurn = 0
  #turn = false

  constructor(bounds: HandshakeBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
  }

  /** Places held. */
  get held(): number {
    return this.#held
  }

  /** Who waits: while anybody does, silence is no verdict (PROTOCOL §7). */
  get waiting(): number {
    return this.#registrations.size + this.#upgrades.size
  }

  /** Takes a place at once, or waits for one. False: the queue is full, and the waiter will hear nothing. */
  enter(waiter: Waiter, kind: "upgrade" | "registration"): boolean {
    const queue = kind === "upgrade" ? this.#upgrades : this.#registrations
    if (this.waiting === 0 && this.#mayAdmit()) {
      this.#admit(waiter)
      return true
    }
    if (kind === "upgrade" && queue.size >= this.#bounds.handshakeQueue) return false
    queue.set(waiter, this.#now())
    this.#schedule()
    return true
  }

  /** Stops waiting; nothing happens when it does not wait. */
  forget(waiter: Waiter): void {
    this.#upgrades.delete(waiter)
    this.#registrations.delete(waiter)
  }

  /** Gives a place back. */
  leave(): void {
    this.#held--
    if (this.waiting > 0) this.#schedule()
  }

  /** Refuses those who have waited too long. */
  sweep(): void {
    const oldest = this.#now() - this.#bounds.handshakeWaitMs
    for (const [waiter, since] of this.#upgrades) {
      if (since > oldest) break
      this.#upgrades.delete(waiter)
      waiter.refused()
    }
  }

  /** Refuses everybody who waits for an upgrade. */
  close(): void {
    const waiting = [...this.#upgrades.keys()]
    this.#upgrades.clear()
    for (const waiter of waiting) waiter.refused()
  }

  #mayAdmit(): boolean {
    return this.#held < this.#bounds.handshakes && this.#thisTurn < this.#bounds.handshakesPerTurn
  }

  #admit(waiter: Waiter): void {
    this.#held++
    this.#thisTurn++
    this.#schedule()
    waiter.admitted()
  }

  #schedule(): void {
    if (this.#turn) return
    this.#turn = true
    setImmediate(this.#nextTurn)
  }

  readonly #nextTurn = (): void => {
    this.#turn = false
    this.#thisTurn = 0
    while (this.#mayAdmit()) {
      const queue = this.#registrations.size > 0 ? this.#registrations : this.#upgrades
      const next = queue.keys().next()
      if (next.done === true) return
      queue.delete(next.value)
      this.#admit(next.value)
    }
  }
}
