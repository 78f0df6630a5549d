import { Effect } from "effect"

/**
 * Lets one effect pass at a time, first come first served, in constant time however many wait.
 * Not re-entrant: an effect inside must not ask again.
 */
export class Turnstile {
  #taken = false
  #waiting: Array<() => void> = []
  #next = 0

  pass<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.acquireUseRelease(
      this.#acquire,
      () => effect,
      () => this.#release
    )
  }

  readonly #acquire = Effect.callback<void>((resume) => {
    if (this.#taken) {
      this.#waiting.push(() => resume(Effect.void))
      return
    }
    this.#taken = true
    resume(Effect.void)
  })

  readonly #release = Effect.sync(() => {
    const next = this.#waiting[this.#next]
    if (next === undefined) {
      this.#taken = false
      return
    }
    this.#next += 1
    if (this.#next === this.#waiting.length) {
      this.#waiting = []
      this.#next = 0
    } else if (this.#next >= 1024) {
      this.#waiting = this.#waiting.slice(this.#next)
      this.#next = 0
    }
    next()
  })
}
