import type { MaybePromise } from "./MaybePromise.ts"

/**
 * Steps that may take a while, one after the other in the order of the calls; a step that is done at once, while nothing
 * else is under way, is done before `run` returns.
 */
export class InOrder {
  #tail: Promise<void> | null = null

  /** Steps do not throw. */
  run(step: () => MaybePromise<void>): void {
    const done = this.#tail === null ? step() : this.#tail.then(step)
    if (!(done instanceof Promise)) return
    this.#tail = done
    void done.finally(() => {
      if (this.#tail === done) this.#tail = null
    })
  }
}
