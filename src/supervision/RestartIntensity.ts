/** How often a child may be restarted before its supervisor gives up. */
export interface RestartLimits {
  /** 0: the first failure escalates. */
  readonly restarts: number
  readonly withinMs: number
}

/** Monotonic milliseconds of the restarts inside the window, oldest first. */
export type RestartHistory = ReadonlyArray<number>

/**
 * Adds a restart at `now` to the sliding window. Exceeded means: more than `restarts` restarts at most `withinMs` apart,
 * the one asked for included (both bounds inclusive, as in Erlang/OTP's supervisor).
 */
export const recordRestart = (
  history: RestartHistory,
  now: number,
  limits: RestartLimits
): { readonly history: RestartHistory; readonly exceeded: boolean } => {
  const recent = [...history.filter((at) => now - at <= limits.withinMs), now]
  return { history: recent, exceeded: recent.length > limits.restarts }
}

const FIRST_DELAY = 50
const LONGEST_DELAY = 2_000

/** Milliseconds to wait before the newest restart of the window: doubles with each one in it. */
export const restartDelay = (history: RestartHistory): number =>
  Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** Math.max(0, history.length - 1))
