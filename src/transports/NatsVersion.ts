/** Newest patch of each maintained line that is known to keep what it has accepted (DESIGN §10). */
const FIXED_IN = new Map([
  [11, 16],
  [12, 7]
])
const GOOD_SINCE = 14

/**
 * Whether production may use a nats-server of this version: 2.11.16 and later of 2.11, 2.12.7 and later of 2.12, 2.14 and
 * later. What follows the three numbers (`-RC.1`) does not count; what has no three numbers is refused.
 */
export const isGoodNatsVersion = (version: string): boolean => {
  const match = /^v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])/.exec(version)
  if (match === null) return false
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number)
  if (major !== 2) return major > 2
  return minor >= GOOD_SINCE || patch >= (FIXED_IN.get(minor) ?? Number.POSITIVE_INFINITY)
}
