import { Effect } from "effect"
import type { RestartLimits } from "./RestartIntensity.ts"

/**
 * When a child that ended by itself is started again.
 * - `permanent`: always, also after a success.
 * - `transient`: after a failure, a defect or an interruption that its supervisor did not ask for.
 * - `temporary`: never.
 */
export type Restart = "permanent" | "transient" | "temporary"

/** One supervised child, as data (STYLE 11). */
export interface ChildSpec<R = never> {
  /** Unique within its supervisor; shown in logs, /readyz and as the label `child` in /metrics. */
  readonly id: string
  readonly restart: Restart
  /** More restarts than this escalate: the supervisor stops its other children and fails. */
  readonly intensity: RestartLimits
  /** How long the child may take to end after it was interrupted. */
  readonly shutdownMs: number
  /** The child's whole life: acquires what it needs, runs, and releases it when it is interrupted. */
  readonly start: Effect.Effect<unknown, unknown, R>
}

/** What long-running children get unless they need something else. */
export const defaultIntensity: RestartLimits = { restarts: 5, withinMs: 60_000 }

/** One that does the same again and again until it is stopped, within a second. */
export const repeating = <R = never>(id: string, body: Effect.Effect<unknown, unknown, R>): ChildSpec<R> => ({
  id,
  restart: "permanent",
  intensity: defaultIntensity,
  shutdownMs: 1000,
  start: Effect.forever(body)
})

export type ChildState =
  | "running"
  /** Ended, and waits for its restart. */
  | "waiting"
  /** Ended, and will not be started again. */
  | "done"
  | "stopping"
  | "stopped"
  /** Asked to stop, and still running when its budget was over. */
  | "stuck"

export interface ChildReport {
  readonly id: string
  readonly state: ChildState
  readonly restarts: number
  /** One line, no secrets; null while nothing went wrong. */
  readonly lastError: string | null
}

export interface StopReport {
  readonly id: string
  readonly stopped: boolean
  readonly tookMs: number
  readonly budgetMs: number
}
