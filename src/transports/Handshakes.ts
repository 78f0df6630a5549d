import { CountWindow } from "./CountWindow.ts"
import { HoldBudget } from "./HoldBudget.ts"
import type { SocketLimits } from "./SocketLimits.ts"

/** Somebody who waits for a place: a socket before its upgrade, or a connection before a registration. */
export interface Waiter {
  /** Its turn has come: it holds a place from now on, until it leaves. */
  readonly admitted: () => void
  /** It has waited too long; it holds nothing. */
  readonly refused: () => void
}

/** An upgraded socket that keeps its place for its first registration. */
export interface Resting {
  /** It has lost its place: it said nothing for too long, or while others waited. */
  readonly reclaimed: () => void
}

/** As many re-registrations, or as many lost sockets with nodes, within this time, milliseconds, are a crowd. */
const CROWD_RETURNS = 50
const CROWD_LOSSES = 500
const CROWD_MS = 500
/** What each node of a crowd adds to the time until all of them can be back, milliseconds: measured 1.1 to 4 (0024). */
const RETURN_MS = 2
/** `comingBack` is asked several times a second: a longer pause means that the loop was blocked. */
const STALL_MS = 750

export type HandshakeBounds = Pick<
  SocketLimits,
  | "handshakes"
  | "handshakeQueue"
  | "handshakesPerTurn"
  | "handshakeWaitMs"
  | "handshakeIdleMs"
  | "handshakeCrowdedMs"
  | "verdictHoldMs"
  | "crowdTailMs"
>

/**
 * Admission of handshakes, so that ten thousand clients that come back at once do not stall the event loop (DESIGN §9).
 * - H1 at most `handshakes` places are held; whoever is admitted calls `leave` exactly once.
 * - H2 who waits is admitted in order, registrations before upgrades: what was begun is finished first.
 * - H3 at most `handshakesPerTurn` are admitted in one turn of the event loop.
 * - H4 at most `handshakeQueue` upgrades wait, none longer than `handshakeWaitMs`. Registrations wait without a bound of
 *   their own: each belongs to an admitted socket, that is not read meanwhile.
 * - H5 an upgraded socket that has sent nothing rests on its place for `handshakeIdleMs`, and for `handshakeCrowdedMs`
 *   only when others wait: strangers can't keep nodes out by saying nothing.
 * - H6 registrations that wait hold verdicts back; upgrades, that may be anybody's, and nodes that come
 *   back, or go, in crowds do so for a bounded time.
 */
export class Handshakes {
  readonly #bounds: HandshakeBounds
  readonly #now: () => number
  /** Insertion-ordered, with the time of entry. */
  readonly #registrations = new Map<Waiter, number>()
  readonly #upgrades = new Map<Waiter, number>()
  readonly #resting = new Map<Resting, number>()
  readonly #hold: HoldBudget
  /** When there was a crowd for the last time. */
  #crowdedAt = Number.NEGATIVE_INFINITY
  /** When those who went in a crowd can be back. */
  #backAt = Number.NEGATIVE_INFINITY
  readonly #returns = new CountWindow()
  readonly #losses = new CountWindow()
  #askedAt: number
  #held = 0
  #thisTurn = 0
  #turn = false

  constructor(bounds: HandshakeBounds, now: () => number) {
    this.#bounds = bounds
    this.#now = now
    this.#hold = new HoldBudget(bounds.verdictHoldMs, now())
    this.#askedAt = now()
  }

  /** Places held. */
  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#registrations.size + this.#upgrades.size
  }

  /**
   * H6: those who may be nodes coming back; while there are any, silence is no verdict (PROTOCOL §7). After a crowd of
   * upgrades there is at least one for `crowdTailMs`: the last of them have yet to register, and some try once more.
   */
  get comingBack(): number {
    const now = this.#now()
    this.#noteCrowd(now)
    // The loop stood still: whoever came meanwhile has not been seen yet.
    if (now - this.#askedAt > STALL_MS) this.#crowdedAt = now
    this.#askedAt = now
    const crowded = now < this.#backAt || now - this.#crowdedAt < this.#bounds.crowdTailMs
    const reason = crowded || this.#upgrades.size > 0
    const held = this.#hold.ask(reason, now)
    return this.#registrations.size + (held ? Math.max(1, this.#upgrades.size) : 0)
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

  /** H5: whoever holds a place and has sent nothing yet. */
  rest(resting: Resting): void {
    this.#resting.set(resting, this.#now())
  }

  /** It rests no longer; it still holds its place. */
  stir(resting: Resting): void {
    this.#resting.delete(resting)
  }

  /** Gives a place back. */
  leave(): void {
    this.#held--
    if (this.waiting > 0) this.#schedule()
  }

  /**
   * A node wants its session back. If many do, more of them wait in the kernel, where nobody sees them. Nodes that begin
   * are no such sign: a fleet that starts would spend the time for which its losses may be held back.
   */
  noteReturn(): void {
    const now = this.#now()
    if (this.#returns.add(now, CROWD_MS) >= CROWD_RETURNS) this.#crowdedAt = now
  }

  /** A socket that carried nodes has gone by its peer's side. Of a crowd nobody is missing before all can be back. */
  noteLoss(): void {
    const now = this.#now()
    const lost = this.#losses.add(now, CROWD_MS)
    if (lost < CROWD_LOSSES) return
    this.#crowdedAt = now
    const news = lost === CROWD_LOSSES ? CROWD_LOSSES : 1
    this.#backAt = Math.max(this.#backAt, now) + news * RETURN_MS
  }

  /** Refuses those who have waited too long, takes back the places of those who say nothing. */
  sweep(): void {
    const now = this.#now()
    // The budget is to be asked often, whether or not anybody else wants to know.
    void this.comingBack
    const oldest = now - this.#bounds.handshakeWaitMs
    for (const [waiter, since] of this.#upgrades) {
      if (since > oldest) break
      this.#upgrades.delete(waiter)
      waiter.refused()
    }
    this.#reclaim(now, this.#bounds.handshakeIdleMs)
    if (this.waiting > 0) this.#schedule()
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

  /** A crowd: somebody has waited for longer than those who say nothing may keep him waiting (H5). */
  #noteCrowd(now: number): void {
    const oldest = this.#upgrades.values().next()
    if (oldest.done !== true && now - oldest.value >= this.#bounds.handshakeCrowdedMs) this.#crowdedAt = now
  }

  /** H5: those first who have said nothing for the longest time. */
  #reclaim(now: number, idleMs: number, most = this.#resting.size): void {
    let left = most
    for (const [resting, since] of this.#resting) {
      if (left-- <= 0 || now - since < idleMs) return
      this.#resting.delete(resting)
      this.#held--
      resting.reclaimed()
    }
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
    if (this.waiting > 0) {
      const now = this.#now()
      // Before the oldest of them is admitted.
      this.#noteCrowd(now)
      const missing = Math.min(this.waiting, this.#bounds.handshakesPerTurn) + this.#held - this.#bounds.handshakes
      this.#reclaim(now, this.#bounds.handshakeCrowdedMs, missing)
    }
    while (this.#mayAdmit()) {
      const queue = this.#registrations.size > 0 ? this.#registrations : this.#upgrades
      const next = queue.keys().next()
      if (next.done === true) return
      queue.delete(next.value)
      this.#admit(next.value)
    }
  }
}
