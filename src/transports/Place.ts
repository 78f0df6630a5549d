import type { Handshakes, Waiter } from "./Handshakes.ts"

/**
 * A connection's place among the handshakes: first the one that its upgrade held, for a short while, then one for each
 * registration, until its answer. Held at most once.
 */
export class Place implements Waiter {
  readonly #handshakes: Handshakes
  readonly #owner: { readonly release: () => void }
  #state: "none" | "inherited" | "waiting" | "held" = "none"
  #since = 0

  constructor(handshakes: Handshakes, owner: { readonly release: () => void }) {
    this.#handshakes = handshakes
    this.#owner = owner
  }

  /** The upgrade's place: the first registration follows at once, as a rule. */
  inherit(now: number): void {
    this.#state = "inherited"
    this.#since = now
  }

  /** True: held. False: waits, and the owner's `release` is called when its turn comes. */
  take(): boolean {
    if (this.#state === "none") {
      this.#state = "waiting"
      this.#handshakes.enter(this, "registration")
    }
    return this.isHeld
  }

  get isHeld(): boolean {
    return this.#state === "inherited" || this.#state === "held"
  }

  /** Whoever took it over gives it back. */
  pass(): void {
    this.#state = "none"
  }

  admitted(): void {
    this.#state = "held"
    this.#owner.release()
  }

  refused(): void {
    this.#state = "none"
  }

  /** A socket that sends nothing must not keep others waiting. */
  sweep(before: number): void {
    if (this.#state === "inherited" && this.#since <= before) this.close()
  }

  close(): void {
    if (this.isHeld) this.#handshakes.leave()
    else if (this.#state === "waiting") this.#handshakes.forget(this)
    this.#state = "none"
  }
}
