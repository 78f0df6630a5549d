// One replica's lease, a duty and the reaper on the database of DATABASE_URL, and nothing else; says what happens, a line
// each. Run by `takeover.test.ts`, which kills it.
import { Console, Effect, Layer, Redacted } from "effect"
import * as Postgres from "../../src/storage/Postgres.ts"
import * as Storage from "../../src/storage/Storage.ts"
import { DatabaseHealth } from "../../src/supervision/DatabaseHealth.ts"
import { DeadlineTarget } from "../../src/supervision/DeadlineTarget.ts"
import { duty } from "../../src/supervision/Duty.ts"
import { reaper } from "../../src/supervision/Reaper.ts"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"

const url = process.env["DATABASE_URL"]
if (url === undefined) throw new Error("DATABASE_URL is not set")

const TTL = 1_500

const program = Effect.gen(function* () {
  const health = yield* DatabaseHealth
  const lease = yield* ReplicaLease
  yield* Console.log(`boot ${lease.boot}`)
  let holding = false
  const base = yield* startSupervisor({
    name: "base",
    strategy: "one_for_one",
    children: [
      health.child,
      lease.child,
      yield* reaper,
      duty("work", {
        intervalMs: 50,
        ttlMs: 900,
        body: () => Effect.suspend(() => (holding ? Effect.void : ((holding = true), Console.log("works"))))
      })
    ]
  })
  return yield* Effect.raceFirst(Effect.flip(lease.lost), base.escalated)
})

const layer = ReplicaLease.layer({ instance: "test", version: "0", ttlMs: TTL }).pipe(
  Layer.provideMerge(DatabaseHealth.layer),
  Layer.provideMerge(
    Layer.succeed(DeadlineTarget, {
      tell: (appId, message) => {
        console.log(`tell ${appId} ${message._tag}`)
        return true
      }
    })
  ),
  Layer.provideMerge(Storage.layer),
  Layer.provideMerge(Layer.mergeAll(Postgres.layer({ url: Redacted.make(url), lanes: 1, pool: 3 }), Telemetry.layer))
)

const lost = await Effect.runPromise(Effect.scoped(Effect.provide(program, layer)))
console.log(`lost ${lost.reason}`)
process.exit(75)
