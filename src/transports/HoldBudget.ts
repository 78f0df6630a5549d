/**
 * For how long, in milliseconds, a reason that strangers can keep alive may hold something back: `bound` in a row, and
 * then not again before the reason has been gone. What is spent comes back at the pace of the time without the reason.
 */
export class HoldBudget {
  readonly #bound: number
  #state: "idle" | "held" | "spent" = "idle"
  #left: number
  #at: number

  constructor(bound: number, now: number) {
    this.#bound = bound
    this.#left = bound
    this.#at = now
  }

  /** Whether the reason holds from now on. Ask often: the time until the next question counts as this answer. */
  ask(reason: boolean, now: number): boolean {
    const elapsed = now - this.#at
    this.#at = now
    if (this.#state === "held") this.#left -= elapsed
    else if (this.#state === "idle") this.#left = Math.min(this.#bound, this.#left + elapsed)
    this.#state = !reason ? "idle" : this.#left <= 0 ? "spent" : "held"
    return this.#state === "held"
  }
}
