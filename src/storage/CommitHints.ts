import { Context, Effect, Layer } from "effect"
import type { NodeState } from "../protocol/Frames.ts"
import { NodeStore } from "./NodeStore.ts"

/**
 * `path`: of a node with new log rows, root first, itself last. `status`: what they have made of it. `answers`: there is an
 * answer to a command among them.
 */
export type OnCommit = (path: ReadonlyArray<string>, status: NodeState, answers: boolean) => void

/**
 * Tells that rows of a node have been committed: a hint to look at the log, never the fact (DESIGN §2). Of commits of this
 * process it says which node's; of other replicas' only that there are some. Costs nothing while nobody listens.
 */
export class CommitHints extends Context.Service<
  CommitHints,
  {
    /** Until the answer is called. The listeners must neither throw nor wait. `onForeign`: another replica has committed. */
    readonly listen: (listener: OnCommit, onForeign?: () => void) => () => void
    /** Another replica says that it has committed. */
    readonly tellForeign: () => void
    /** Whether anybody listens for that. */
    readonly awaitsForeign: () => boolean
  }
>()("trails/storage/CommitHints") {}

/** A `NodeStore` whose commits are told to `CommitHints`, after the commit and before whoever waits for it goes on. */
export const layer: Layer.Layer<NodeStore | CommitHints, never, NodeStore> = Layer.effectContext(
  Effect.gen(function* () {
    const store = yield* NodeStore
    const listeners = new Set<OnCommit>()
    const foreign = new Set<() => void>()
    const tell: OnCommit = (path, status, answers) => {
      for (const listener of listeners) listener(path, status, answers)
    }
    const hinted = NodeStore.of({
      ...store,
      append: (lane, writes) =>
        Effect.tap(store.append(lane, writes), (outcomes) =>
          Effect.sync(() => {
            if (listeners.size === 0) return
            for (let i = 0; i < writes.length; i++) {
              const { commands, hot, path } = writes[i]!
              if (outcomes[i]?._tag !== "Committed") continue
              tell(path, hot.status, commands?.some(({ _tag }) => _tag === "Answered") === true)
            }
          })
        ),
      birth: (request) =>
        Effect.tap(store.birth(request), (outcome) =>
          Effect.sync(() => {
            // One that exists may have been born by an attempt of ours whose answer was lost.
            if (outcome._tag !== "Refused") tell(outcome.row.path, outcome.row.status, false)
          })
        )
    })
    const hints = CommitHints.of({
      listen: (listener, onForeign) => {
        listeners.add(listener)
        if (onForeign !== undefined) foreign.add(onForeign)
        return () => {
          listeners.delete(listener)
          if (onForeign !== undefined) foreign.delete(onForeign)
        }
      },
      tellForeign: () => {
        for (const listener of foreign) listener()
      },
      awaitsForeign: () => foreign.size > 0
    })
    return Context.make(NodeStore, hinted).pipe(Context.add(CommitHints, hints))
  })
)
