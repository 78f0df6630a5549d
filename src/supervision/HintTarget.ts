import { Context } from "effect"

/** What a node's actor has to look at: its row, or the queue. */
export type Hint = "moved" | "commanded"

/** The actors as the runners of duties see them; `ActorSystem` satisfies it. Hints may be lost: the rows are the fact. */
export class HintTarget extends Context.Service<
  HintTarget,
  {
    /** `epoch`: the one under which the row was seen, where that is known. */
    readonly hint: (appId: string, owner: string | null, what: Hint, epoch?: number) => void
  }
>()("trails/supervision/HintTarget") {}
