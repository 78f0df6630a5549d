import { Context, Effect, Layer } from "effect"
import type { NodeState } from "../protocol/Frames.ts"
import { CascadeStore } from "./CascadeStore.ts"
import { NodeStore } from "./NodeStore.ts"

/**
 * `path`: of a node with new log rows, root first, itself last. `status`: what they have made of it. `answers`: there is an
 * answer to a command among them.
 */
export type OnCommit = (path: ReadonlyArray<string>, status: NodeState, answers: boolean) => void

/** Who is told. They must neither throw nor wait. */
export interface CommitListener {
  readonly onCommit: OnCommit
  /** This replica has committed rows of nodes that it does not name. */
  readonly onUnnamed?: () => void
  /** Another replica has committed. */
  readonly onForeign?: () => void
}

/**
 * Tells that rows have been committed: a hint to look at the log, never the fact (DESIGN §2). Of what this replica writes for
 * its nodes it says which node's; of a cascade's own statements, and of other replicas', only that there are some. Costs
 * nothing while nobody listens.
 */
export class CommitHints extends Context.Service<
  CommitHints,
  {
    /** Until the answer is called. */
    readonly listen: (listener: CommitListener) => () => void
    /** This replica has committed what `onUnnamed` is for. */
    readonly tellUnnamed: () => void
    /** Another replica says that it has committed. */
    readonly tellForeign: () => void
    /** Whether anybody listens to other replicas. */
    readonly awaitsForeign: () => boolean
  }
>()("trails/storage/CommitHints") {}

/** A `NodeStore` whose commits are told to `CommitHints`, after the commit and before whoever waits for it goes on. */
export const layer: Layer.Layer<NodeStore | CommitHints, never, NodeStore> = Layer.effectContext(
  Effect.gen(function* () {
    const store = yield* NodeStore
    const listeners = new Set<CommitListener>()
    const tell: OnCommit = (path, status, answers) => {
      for (const { onCommit } of listeners) onCommit(path, status, answers)
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
      listen: (listener) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
      tellUnnamed: () => {
        for (const { onUnnamed } of listeners) onUnnamed?.()
      },
      tellForeign: () => {
        for (const { onForeign } of listeners) onForeign?.()
      },
      awaitsForeign: () => [...listeners].some(({ onForeign }) => onForeign !== undefined)
    })
    return Context.make(NodeStore, hinted).pipe(Context.add(CommitHints, hints))
  })
)

/** A `CascadeStore` whose commits are told too: nodes that were cancelled before they began, or forced. */
export const cascadeLayer: Layer.Layer<CascadeStore, never, CascadeStore | CommitHints> = Layer.effect(
  CascadeStore,
  Effect.gen(function* () {
    const store = yield* CascadeStore
    const { tellUnnamed } = yield* CommitHints
    return CascadeStore.of({
      ...store,
      begin: (cascade) =>
        Effect.tap(store.begin(cascade), (begun) =>
          Effect.sync(() => {
            if (begun?._tag === "Begun" && begun.isNew) tellUnnamed()
          })
        ),
      advance: (id) =>
        Effect.tap(store.advance(id), ({ forced }) =>
          Effect.sync(() => {
            if (forced.length > 0) tellUnnamed()
          })
        )
    })
  })
)
