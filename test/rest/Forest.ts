import { Effect, Layer } from "effect"
import * as CommitHints from "../../src/storage/CommitHints.ts"
import * as MemoryNodeStore from "../../src/storage/MemoryNodeStore.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import * as MemoryTreeLog from "../../src/storage/MemoryTreeLog.ts"
import * as MemoryTreeQueries from "../../src/storage/MemoryTreeQueries.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { StoreError } from "../../src/storage/StoreError.ts"
import { TreeLog } from "../../src/storage/TreeLog.ts"
import { TreeQueries } from "../../src/storage/TreeQueries.ts"
import { Waiters } from "../../src/transports/Waiters.ts"

export const gone = new StoreError({ reason: "Unavailable", operation: "read", message: "gone" })

/** Stores in memory, whose commits can be made to give no hints, and those who wait on them. */
export class Forest {
  store!: NodeStore["Service"]
  waiters!: Waiters["Service"]
  /** No hint of a commit is heard. */
  isDeaf = false
  /** No sweep finds anything. */
  isBlind = false
  /** How a node stands can't be read. */
  isAway = false
  /** Reads of how a node stands. */
  reads = 0

  readonly #queries = Layer.effect(
    TreeQueries,
    Effect.map(TreeQueries, (queries) =>
      TreeQueries.of({
        ...queries,
        standing: (appId) =>
          Effect.suspend(() => {
            this.reads++
            return this.isAway ? Effect.fail(gone) : queries.standing(appId)
          })
      })
    )
  ).pipe(Layer.provide(MemoryTreeQueries.layer))

  readonly #log = Layer.effect(
    TreeLog,
    Effect.map(TreeLog, (log) =>
      TreeLog.of({ ...log, head: Effect.suspend(() => (this.isBlind ? Effect.fail(gone) : log.head)) })
    )
  ).pipe(Layer.provide(MemoryTreeLog.layer))

  readonly #hints = Layer.effect(
    CommitHints.CommitHints,
    Effect.map(CommitHints.CommitHints, (hints) => ({
      ...hints,
      listen: (listener: CommitHints.OnCommit, onForeign?: () => void) =>
        hints.listen((path, status, answers) => {
          if (!this.isDeaf) listener(path, status, answers)
        }, onForeign)
    }))
  )

  readonly layer = Layer.effectDiscard(
    Effect.gen({ self: this }, function* () {
      this.store = yield* NodeStore
      this.waiters = yield* Waiters
      yield* Effect.forEach(this.waiters.children, ({ start }) => Effect.forkScoped(start), { discard: true })
    })
  ).pipe(
    Layer.provideMerge(Waiters.layerWith({ waiters: 150, sweepMs: 50 })),
    Layer.provideMerge(Layer.mergeAll(this.#queries, this.#log, this.#hints)),
    Layer.provideMerge(CommitHints.layer),
    Layer.provideMerge(MemoryNodeStore.layer),
    Layer.provideMerge(MemoryTables.layer)
  )
}
