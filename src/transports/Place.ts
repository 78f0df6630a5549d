import type { Handshakes, Resting, Waiter } from "./Handshakes.ts"

/**
 * A connection's place among the handshakes: first the one that its upgrade held, for a short while, then one for each
 * registration, until its answer. Held at most once.
 */
export class Place implements Waiter, Resting {
  readonly #handshakes: Handshakes
  readonly #owner: { readonly release: () => void }
  #state: "none" | "resting" | "waiting" | "held" = "none"

  constructor(handshakes: Handshakes, owner: { readonly release: () => void }) {
    this.#handshakes = handshakes
    this.#owner = owner
  }

  /** The upgrade's place: the first registration follows at once, as a rule. */
  inherit(): void {
    this.#state = "resting"
    this.#handshakes.rest(this)
  }

  /**
   * For a registration, by which a node comes back or begins. True: held. False: waits, and the owner's `release` is
   * called when its turn comes; then `take` again.
   */
  take(comesBack: boolean): boolean {
    if (comesBack && (this.#state === "resting" || this.#state === "none")) this.#handshakes.noteReturn()
    if (this.#state === "resting") {
      this.#state = "held"
      this.#handshakes.stir(this)
    } else if (this.#state === "none") {
      this.#state = "waiting"
      this.#handshakes.enter(this, "registration")
    }
    return this.isHeld
  }

  get isHeld(): boolean {
    return this.#state === "held"
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

  reclaimed(): void {
    this.#state = "none"
  }

  close(): void {
    if (this.#state === "resting") this.#handshakes.stir(this)
    if (this.#state === "resting" || this.#state === "held") this.#handshakes.leave()
    else if (this.#state === "waiting") this.#handshakes.forget(this)
    this.#state = "none"
  }
}
