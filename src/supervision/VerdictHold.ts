import { Context, Effect } from "effect"
import { ReplicaStore } from "../storage/ReplicaStore.ts"
import { type ChildSpec, repeating } from "./ChildSpec.ts"
import { ReplicaLease } from "./ReplicaLease.ts"

/** How often this replica looks whether it has something to say. */
const LOOK_MS = 100
/** What one word is good for, and when it is said again: it outlasts a slow statement and ends soon after its reason. */
const WORD_MS = 1500
const AGAIN_MS = 400

/**
 * Whether nodes are denied the chance to come back just now for a reason that lies on our side, apart from the database:
 * handshakes that wait for admission (PROTOCOL §7). Transports provide it.
 */
export class VerdictHold extends Context.Service<
  VerdictHold,
  {
    readonly held: () => boolean
  }
>()("trails/supervision/VerdictHold") {}

/**
 * Says so to the replica that holds the duty of the deadlines, by a row: whom that one could not have heard either it must
 * not judge. Costs nothing while there is no reason.
 */
export const shareVerdictHold: Effect.Effect<ChildSpec, never, VerdictHold | ReplicaLease | ReplicaStore> = Effect.gen(
  function* () {
    const hold = yield* VerdictHold
    const store = yield* ReplicaStore
    const { boot } = yield* ReplicaLease
    const say = store.holdVerdicts(boot, WORD_MS).pipe(Effect.timeout(WORD_MS), Effect.ignore)
    return repeating(
      "verdict-hold",
      Effect.suspend(() => (hold.held() ? Effect.andThen(say, Effect.sleep(AGAIN_MS)) : Effect.sleep(LOOK_MS)))
    )
  }
)
