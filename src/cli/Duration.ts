const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Longest that a timer can be set to, milliseconds. */
const LONGEST = 2 ** 31 - 1

/** Milliseconds of a duration as settings write it: seconds as a number, or with a unit (PROTOCOL §13). Null: it is none. */
export const parseDuration = (text: string): number | null => {
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? []
  if (number === undefined) return null
  const milliseconds = Math.round(Number(number) * UNITS[unit]!)
  return milliseconds <= LONGEST ? milliseconds : null
}
