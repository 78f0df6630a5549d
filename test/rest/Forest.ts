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
import { SOCKET_LIMITS } from "../../src/transports/SocketLimits.ts"
import { Waiters } from "../../src/transports/Waiters.ts"
import { Watch } from "../../src/transports/Watch.ts"
import { Watchers } from "../../src/transports/Watchers.ts"

/** Small, so that a test reaches them. */
export const WATCH_LIMITS = { ...SOCKET_LIMITS, watchers: 5, watchSweepMs: 50, watchBeatMs: 50, closeMs: 200 }

export const gone = new StoreError({ reason: "Unavailable", operation: "read", message: "gone" })

/** Stores in memory, whose commits can be made to give no hints, and those who wait on them. */
export class Forest {
  store!: NodeStore["Service"]
  waiters!: Waiters["Service"]
  watchers!: Watchers["Service"]
  /** No hint of a commit is heard. */
  isDeaf = false
  /** No sweep finds anything. */
  isBlind = false
  /** Sweeps see that there is something new, and not what. */
  isVague = false
  /** What reads a tree fails by a defect. */
  isBroken = false
  /** Pages that were read of a node's own rows. */
  pages = 0
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
          }),
        moved: (appIds) => Effect.suspend(() => queries.moved(this.isVague ? [] : appIds))
      })
    )
  ).pipe(Layer.provide(MemoryTreeQueries.layer))

  readonly #log = Layer.effect(
    TreeLog,
    Effect.map(TreeLog, (log) =>
      TreeLog.of({
        ...log,
        head: Effect.suspend(() => (this.isBlind ? Effect.fail(gone) : log.head)),
        stirred: (appIds, ...range) => Effect.suspend(() => log.stirred(this.isVague ? [] : appIds, ...range)),
        own: (...args) =>
          Effect.suspend(() => {
            this.pages++
            return this.isBroken ? Effect.die(new Error("bug")) : log.own(...args)
          })
      })
    )
  ).pipe(Layer.provide(MemoryTreeLog.layer))

  readonly #hints = Layer.effect(
    CommitHints.CommitHints,
    Effect.map(CommitHints.CommitHints, (hints) => ({
      ...hints,
      listen: ({ onCommit, ...others }: CommitHints.CommitListener) =>
        hints.listen({
          ...others,
          onCommit: (path, status, answers) => {
            if (!this.isDeaf) onCommit(path, status, answers)
          }
        })
    }))
  )

  readonly layer = Layer.effectDiscard(
    Effect.gen({ self: this }, function* () {
      this.store = yield* NodeStore
      this.waiters = yield* Waiters
      this.watchers = yield* Watchers
      const children = [...this.waiters.children, ...this.watchers.children, ...(yield* Watch).children]
      yield* Effect.forEach(children, ({ start }) => Effect.forkScoped(start), { discard: true })
    })
  ).pipe(
    Layer.provideMerge(Watchers.layerWith(WATCH_LIMITS)),
    Layer.provideMerge(Layer.mergeAll(Waiters.layerWith({ waiters: 150, sweepMs: 50 }), Watch.layerWith(WATCH_LIMITS))),
    Layer.provideMerge(Layer.mergeAll(this.#queries, this.#log, this.#hints)),
    Layer.provideMerge(CommitHints.layer),
    Layer.provideMerge(MemoryNodeStore.layer),
    Layer.provideMerge(MemoryTables.layer)
  )
}
