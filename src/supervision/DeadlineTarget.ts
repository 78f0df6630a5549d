import { Context } from "effect"

/** What the sweeps tell a node's actor: hints, the actor's row decides. */
export type SweepMessage = { readonly _tag: "Deadline" } | { readonly _tag: "Orphaned"; readonly owner: string | null }

/** The actors as the sweeps see them; `ActorSystem` satisfies it. False: not taken now, it is told again later. */
export class DeadlineTarget extends Context.Service<
  DeadlineTarget,
  {
    readonly tell: (appId: string, message: SweepMessage) => boolean
  }
>()("trails/supervision/DeadlineTarget") {}
