import { Context } from "effect"

/** The actors as the runners of duties see them; `ActorSystem` satisfies it. Hints may be lost: the rows are the fact. */
export class HintTarget extends Context.Service<
  HintTarget,
  {
    readonly hint: (appId: string, owner: string | null, what: "moved" | "commanded") => void
  }
>()("trails/supervision/HintTarget") {}
