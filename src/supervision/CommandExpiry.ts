import { Effect } from "effect"
import { CommandStore } from "../storage/CommandStore.ts"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { type DutyTerm, duty } from "./Duty.ts"
import type { ReplicaLease } from "./ReplicaLease.ts"

const INTERVAL = 1000
const BATCH = 1000

/**
 * Notes which commands nobody has answered in time, or can answer any more because their node has ended. Who reads a command
 * sees by its time that it has expired, also before this has come by. Whoever takes the duty over goes through all that is
 * open once; from then on only what has come due, and the ends in the log, are looked at.
 */
export const commandExpiry: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  CommandStore
> = Effect.map(CommandStore, (store) => {
  const all = Effect.fnUntraced(function* (expire: CommandStore["Service"]["expire"]) {
    while ((yield* expire(BATCH)) === BATCH) {
      // The rest of them at once.
    }
  })
  /** How far the ends have been read in this term. */
  let read: { readonly term: DutyTerm; readonly end: number } | null = null
  return duty("command-expiry", {
    intervalMs: INTERVAL,
    body: Effect.fnUntraced(function* (term) {
      yield* all(store.expire)
      if (read?.term !== term) {
        const end = yield* store.lastEnd
        yield* all(store.expireLeft)
        read = { term, end }
      }
      for (;;) {
        const { more, upTo }: { readonly more: boolean; readonly upTo: number } = yield* store.expireEnded(
          read.end,
          BATCH
        )
        read = { term, end: upTo }
        if (!more) return
      }
    })
  })
})
