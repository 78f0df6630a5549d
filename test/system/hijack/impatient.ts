import { nodePlatform } from "../../../src/client/NodePlatform.ts"
import type { Platform } from "../../../src/client/Platform.ts"

/** From here on a time is one of the client's limits, and not a pause before it comes back. */
const LIMITS_FROM_MS = 31_000
/** Of `Dial`, too: whoever sits in the way is not to deal with a second socket beside the one that he holds up. */
const REDIALS_MS: ReadonlyArray<number> = [5000, 10_000, 20_000]

/** Comes back at once, so that a thousand tries take seconds. */
export const impatient: Platform = {
  ...nodePlatform,
  random: () => 0,
  watchExit: () => {},
  later: (milliseconds, task) => {
    const isPause = milliseconds < LIMITS_FROM_MS && !REDIALS_MS.includes(milliseconds)
    return nodePlatform.later(isPause ? Math.min(milliseconds, 1) : milliseconds, task)
  }
}
