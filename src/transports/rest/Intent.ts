import { Deferred, Effect } from "effect"
import { ActorSystem } from "../../actors/ActorSystem.ts"
import type { IntentAnswer, NodeMessage } from "../../actors/NodeMessage.ts"
import { frameProblem, type Problem, tryLater } from "./Problem.ts"

/** How long a node's actor may take to answer, in milliseconds. */
const ANSWER_MS = 10_000

export interface Intended {
  readonly appId: string
  /** False: the same intent was there before. */
  readonly created: boolean
}

/** Tells a node's actor and waits for its answer; a refusal, a full mailbox and silence are problems. */
export const makeIntent = Effect.map(ActorSystem, (actors) =>
  Effect.fnUntraced(function* (
    appId: string,
    message: (reply: Deferred.Deferred<IntentAnswer>) => NodeMessage
  ): Effect.fn.Return<Intended, Problem> {
    const reply = yield* Deferred.make<IntentAnswer>()
    if (!actors.tell(appId, message(reply))) {
      return yield* tryLater("overloaded", "Too much is waiting for this node; try again in a moment")
    }
    const answer = yield* Deferred.await(reply).pipe(
      Effect.timeoutOrElse({
        duration: ANSWER_MS,
        orElse: () =>
          Effect.fail(
            tryLater(
              "unavailable",
              `No answer within ${ANSWER_MS / 1000} seconds; it may still happen. Sending the same again is safe`
            )
          )
      })
    )
    if (answer._tag === "Rejected") return yield* frameProblem(answer.error)
    return { appId: answer.appId, created: answer.created }
  })
)
