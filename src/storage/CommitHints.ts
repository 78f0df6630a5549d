import { Context, Effect, Layer } from "effect"
import { NodeStore } from "./NodeStore.ts"

/** `path`: of a node with new log rows, root first, itself last. */
export type OnCommit = (path: ReadonlyArray<string>) => void

/**
 * Tells, within this process, that rows of a node have been committed: a hint to look at the log, never the fact
 * (DESIGN §2). Costs nothing while nobody listens.
 */
export class CommitHints extends Context.Service<
  CommitHints,
  {
    /** At most one listener; null: nobody listens any more. It must neither throw nor wait. */
    readonly listen: (listener: OnCommit | null) => void
  }
>()("trails/storage/CommitHints") {}

/** A `NodeStore` whose commits are told to `CommitHints`, after the commit and before whoever waits for it goes on. */
export const layer: Layer.Layer<NodeStore | CommitHints, never, NodeStore> = Layer.effectContext(
  Effect.gen(function* () {
    const store = yield* NodeStore
    let listener: OnCommit | null = null
    const hinted = NodeStore.of({
      ...store,
      append: (lane, writes) =>
        Effect.tap(store.append(lane, writes), (outcomes) =>
          Effect.sync(() => {
            if (listener === null) return
            for (let i = 0; i < writes.length; i++) {
              if (outcomes[i]?._tag === "Committed") listener(writes[i]!.path)
            }
          })
        ),
      birth: (request) =>
        Effect.tap(store.birth(request), (outcome) =>
          Effect.sync(() => {
            // One that exists may have been born by an attempt of ours whose answer was lost.
            if (listener !== null && outcome._tag !== "Refused") listener(outcome.row.path)
          })
        )
    })
    return Context.make(NodeStore, hinted).pipe(Context.add(CommitHints, { listen: (next) => void (listener = next) }))
  })
)
