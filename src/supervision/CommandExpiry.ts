import { Effect } from "effect"
import { CommandStore } from "../storage/CommandStore.ts"
import type { ReplicaStore } from "../storage/ReplicaStore.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { ChildSpec } from "./ChildSpec.ts"
import { duty } from "./Duty.ts"
import type { ReplicaLease } from "./ReplicaLease.ts"

const INTERVAL = 1000
const BATCH = 1000

/**
 * Notes which commands nobody has answered in time, or can answer any more because their node has ended. Who reads a command
 * sees by its time that it has expired, also before this has come by.
 */
export const commandExpiry: Effect.Effect<
  ChildSpec<ReplicaLease | ReplicaStore | Telemetry>,
  never,
  CommandStore
> = Effect.map(CommandStore, (store) =>
  duty("command-expiry", {
    intervalMs: INTERVAL,
    body: () =>
      Effect.gen(function* () {
        while ((yield* store.expire(BATCH)) === BATCH) {
          // The rest of them at once.
        }
      })
  })
)
