import { setTimeout as delay } from "node:timers/promises"

/**
 * Polls until `predicate` gives something truthy, and returns it. Fails with the reason, so that a timed-out test says
 * what it was waiting for. A predicate that throws counts as "not yet"; its last error is shown on failure.
 */
export const waitUntil = async <A>(
  reason: string,
  predicate: () => A | Promise<A>,
  options: { readonly withinMs?: number; readonly everyMs?: number } = {}
): Promise<Exclude<A, false | null | undefined>> => {
  const within = options.withinMs ?? 10_000
  const end = performance.now() + within
  let last: unknown
  for (;;) {
    try {
      const seen = await predicate()
      if (seen) return seen as Exclude<A, false | null | undefined>
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() >= end) {
      throw new Error(`not within ${within} ms: ${reason}`, last === undefined ? {} : { cause: last })
    }
    await delay(options.everyMs ?? 20)
  }
}
