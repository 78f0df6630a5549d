import type { MaybePromise } from "./MaybePromise.ts"

/**
 * Steps that may take a while, one after the other in the order of the calls; a step that is done at once, while nothing
 * else is under way, is done before `run` returns.
 */
export class InOrder {
  readonly #onFailure: (error: unknown) => void
  #tail: Promise<void> | null = null

  /** `onFailure`: a step that took a while has failed; those behind it go on. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure
  }

  /** Steps do not throw; their promises may reject. */
  run(step: () => MaybePromise<void>): void {
    const started = this.#tail === null ? step() : this.#tail.then(step)
    if (!(started instanceof Promise)) return
    const done = started.catch(this.#onFailure)
    this.#tail = done
    void done.finally(() => {
      if (this.#tail === done) this.#tail = null
    })
  }
}
