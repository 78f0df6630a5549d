import { Cause, Effect, Exit, Fiber } from "effect"
import { causeText } from "./CauseText.ts"
import { monotonicClock } from "./MonotonicClock.ts"

export interface ShutdownStep {
  readonly name: string
  readonly budgetMs: number
  readonly run: Effect.Effect<unknown, unknown>
}

export interface StepReport {
  readonly name: string
  readonly outcome: "done" | "failed" | "overrun"
  readonly tookMs: number
  readonly budgetMs: number
}

/** What has to stop, each as an effect that returns when it has. */
export interface ShutdownParts {
  /** Everything is still served, and the balancer is told to send nobody here any more. */
  readonly withdraw: { readonly withinMs: number; readonly run: Effect.Effect<unknown, unknown> }
  readonly stopAccepting: Effect.Effect<unknown, unknown>
  /** `going_away` to every node, and their sockets closed. */
  readonly drain: Effect.Effect<unknown, unknown>
  /** Sweeps, duties and whatever reads the log: nothing new is told to the actors, and another replica takes over at once. */
  readonly duties: Effect.Effect<unknown, unknown>
  readonly actors: Effect.Effect<unknown, unknown>
  /** Flushes what was accepted. */
  readonly writers: Effect.Effect<unknown, unknown>
  readonly lease: Effect.Effect<unknown, unknown>
  readonly database: Effect.Effect<unknown, unknown>
}

/**
 * The order of a clean stop. Writers outlive the actors that feed them, the lease outlives the writers (nobody may take
 * over a node that is still being written), the database outlives all.
 */
export const shutdownSteps = (parts: ShutdownParts): ReadonlyArray<ShutdownStep> => [
  { name: "withdraw", budgetMs: parts.withdraw.withinMs, run: parts.withdraw.run },
  { name: "stop accepting", budgetMs: 500, run: parts.stopAccepting },
  { name: "drain sessions", budgetMs: 2_000, run: parts.drain },
  { name: "duties", budgetMs: 1_500, run: parts.duties },
  { name: "actors", budgetMs: 2_000, run: parts.actors },
  { name: "writers", budgetMs: 2_000, run: parts.writers },
  { name: "lease", budgetMs: 1_000, run: parts.lease },
  { name: "database", budgetMs: 1_000, run: parts.database }
]

/**
 * Runs the steps one after the other, each within its budget. A step that fails or overruns is reported and does not
 * keep the later ones from running: they release what others wait for. An overrun step is asked to end (interrupted)
 * and left behind. Takes the sum of the budgets at most. Cannot be interrupted.
 */
export const shutdown = (steps: ReadonlyArray<ShutdownStep>): Effect.Effect<ReadonlyArray<StepReport>> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const now = yield* monotonicClock
      const reports: Array<StepReport> = []
      for (const { budgetMs, name, run } of steps) {
        const from = now()
        yield* Effect.logDebug(`stopping: ${name}, at most ${budgetMs} ms`)
        const fiber = yield* Effect.forkDetach(run)
        yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), budgetMs)
        const exit = fiber.pollUnsafe()
        const tookMs = now() - from
        if (exit === undefined) {
          fiber.interruptUnsafe()
          yield* Effect.logError(`stopping: ${name} did not end within its ${budgetMs} ms and is left behind`)
          reports.push({ name, outcome: "overrun", tookMs, budgetMs })
        } else if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
          yield* Effect.logError(`stopping: ${name} failed: ${causeText(exit.cause)}`)
          reports.push({ name, outcome: "failed", tookMs, budgetMs })
        } else {
          yield* Effect.logDebug(`stopping: ${name} took ${Math.round(tookMs)} ms of ${budgetMs} ms`)
          reports.push({ name, outcome: "done", tookMs, budgetMs })
        }
      }
      return reports
    })
  )
