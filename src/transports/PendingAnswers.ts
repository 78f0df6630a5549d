import { Deferred, Effect } from "effect"

interface Pending {
  readonly since: number
  readonly expire: () => void
}

/**
 * Questions that an actor has not answered yet, with one time limit for all of them: an actor whose database is away
 * keeps its question, its asker does not wait for ever.
 */
export class PendingAnswers {
  readonly #limitMs: number
  readonly #now: () => number
  readonly #fork: (effect: Effect.Effect<void>) => void
  readonly #pending = new Set<Pending>()

  constructor(limitMs: number, now: () => number, fork: (effect: Effect.Effect<void>) => void) {
    this.#limitMs = limitMs
    this.#now = now
    this.#fork = fork
  }

  get size(): number {
    return this.#pending.size
  }

  /** Calls `then` once: with the answer, or with `late` when the limit has passed. */
  wait<A>(reply: Deferred.Deferred<A>, late: A, then: (answer: A) => void): void {
    const pending: Pending = {
      since: this.#now(),
      // Whoever answers first decides: the actor's later answer is a no-op.
      expire: () => Deferred.doneUnsafe(reply, Effect.succeed(late))
    }
    this.#pending.add(pending)
    this.#fork(
      Effect.map(Deferred.await(reply), (answer) => {
        this.#pending.delete(pending)
        then(answer)
      })
    )
  }

  sweep(): void {
    const oldest = this.#now() - this.#limitMs
    for (const pending of this.#pending) {
      if (pending.since > oldest) break
      this.#pending.delete(pending)
      pending.expire()
    }
  }
}
