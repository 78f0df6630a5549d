import { Context, type Effect } from "effect"
import type { ChildSpec } from "../supervision/ChildSpec.ts"
import type { HintTarget } from "../supervision/HintTarget.ts"
import type { NodeMessage } from "./NodeMessage.ts"

export interface ActorSystemStats {
  /** Actors in memory: those with a session, and those at work. */
  readonly actors: number
  /** Messages waiting in mailboxes. */
  readonly queued: number
  /** Actors rebuilt from their row after a defect, since the start. */
  readonly rebuilt: number
}

/** One replica's actors by node id (DESIGN §2). */
export class ActorSystem extends Context.Service<
  ActorSystem,
  {
    /**
     * Puts a message into the node's mailbox, creating the actor on the first one; synchronous, so that socket callbacks
     * can call it. FIFO per sender. False: the mailbox is full or the system is stopping, and the message was not taken.
     */
    readonly tell: (appId: string, message: NodeMessage) => boolean
    /**
     * Tells the actor of a node, on the replica that holds its session, that its row was moved or that there is a command
     * for it. Without an owner it is this replica's. May be lost: the rows are the fact (DESIGN §2).
     */
    readonly hint: HintTarget["Service"]["hint"]
    readonly stats: () => ActorSystemStats
    /** Refuses new messages, lets the running turns end, then returns. */
    readonly stop: Effect.Effect<void>
    /** The pool of workers, for the supervisor: no turn runs before it does. */
    readonly children: ReadonlyArray<ChildSpec>
  }
>()("trails/actors/ActorSystem") {}
