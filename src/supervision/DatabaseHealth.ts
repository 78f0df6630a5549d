import { Context, Effect, Latch, Layer } from "effect"
import { Database } from "../storage/Database.ts"
import { Telemetry } from "../Telemetry.ts"
import { type ChildSpec, defaultIntensity } from "./ChildSpec.ts"
import { monotonicClock } from "./MonotonicClock.ts"

const INTERVAL = 1_000
const PING_LIMIT = 2_000
const CONFIRM_DELAY = 250
const CONFIRM_LIMIT = 1_000

/**
 * Whether the database answers, found by one ping a second. Down means: two pings in a row failed, the second with a
 * shorter limit, so a database that hangs is found after at most 1 + 2 + 0.25 + 1 s, and a stall of this process's own
 * event loop, which makes one ping late, is not taken for an outage. Times are those of `monotonicClock`.
 */
export class DatabaseHealth extends Context.Service<
  DatabaseHealth,
  {
    readonly up: () => boolean
    /** Since when it has been answering without an outage; null while it is not. */
    readonly upSince: () => number | null
    /** Since when it has not been answering; null while it is, and before the first answer. */
    readonly downSince: () => number | null
    /** The end of the latest outage; null when this process has seen none. */
    readonly recoveredAt: () => number | null
    readonly awaitUp: Effect.Effect<void>
    /** The pings; nothing is known until they run. */
    readonly child: ChildSpec
  }
>()("trails/supervision/DatabaseHealth") {
  static readonly layer: Layer.Layer<DatabaseHealth, never, Database | Telemetry> = Layer.effect(
    this,
    Effect.gen(function* () {
      const database = yield* Database
      const now = yield* monotonicClock
      const gate = yield* Latch.make(false)
      let upSince: number | null = null
      let downSince: number | null = null
      let recoveredAt: number | null = null

      const ping = (limit: number) =>
        database.ping.pipe(Effect.timeout(limit), Effect.match({ onFailure: () => false, onSuccess: () => true }))

      const answered = Effect.gen(function* () {
        if (upSince !== null) return
        upSince = now()
        if (downSince !== null) {
          recoveredAt = upSince
          yield* Effect.logInfo(`the database answers again after ${Math.round(upSince - downSince)} ms`)
          downSince = null
        }
        yield* gate.open
      })

      const missed = Effect.gen(function* () {
        if (downSince !== null) return
        downSince = now()
        upSince = null
        yield* gate.close
        yield* Effect.logWarning(
          "the database does not answer: nothing is acked and nobody is declared dead until it does; " +
            "check that it runs and can be reached"
        )
      })

      const check = Effect.gen(function* () {
        if (yield* ping(PING_LIMIT)) return yield* answered
        if (upSince === null) return yield* missed
        yield* Effect.sleep(CONFIRM_DELAY)
        return yield* (yield* ping(CONFIRM_LIMIT)) ? answered : missed
      })

      const telemetry = yield* Telemetry
      telemetry.gauge("database_up", () => (upSince === null ? 0 : 1))

      return {
        up: () => upSince !== null,
        upSince: () => upSince,
        downSince: () => downSince,
        recoveredAt: () => recoveredAt,
        awaitUp: gate.await,
        child: {
          id: "database-health",
          restart: "permanent",
          intensity: defaultIntensity,
          shutdownMs: 500,
          start: Effect.forever(Effect.andThen(check, Effect.sleep(INTERVAL)))
        }
      }
    })
  )
}
