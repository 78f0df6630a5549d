import { Clock, Effect } from "effect"

/**
 * Reads milliseconds that never go back, whatever happens to the wall clock: for durations as this process sees them.
 * Never compared with a time of the database or of another process. It stands still while the machine is suspended, so
 * what must not outlive a suspension needs the fence in the database as well (DESIGN §2).
 */
export const monotonicClock: Effect.Effect<() => number> = Clock.clockWith((clock) =>
  Effect.succeed(() => Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
)
