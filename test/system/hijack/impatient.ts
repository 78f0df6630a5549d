import { nodePlatform } from "../../../src/client/NodePlatform.ts"
import type { Platform } from "../../../src/client/Platform.ts"

/** From here on a time is one of the client's limits, and not a pause before it comes back. */
const LIMITS_FROM_MS = 31_000

/** Comes back at once, so that a thousand tries take seconds. */
export const impatient: Platform = {
  ...nodePlatform,
  random: () => 0,
  watchExit: () => {},
  later: (milliseconds, task) =>
    nodePlatform.later(milliseconds < LIMITS_FROM_MS ? Math.min(milliseconds, 1) : milliseconds, task)
}
