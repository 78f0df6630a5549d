import { buffer } from "node:stream/consumers"
import { JsonText } from "../client/JsonText.ts"
import { durationMs } from "../protocol/Duration.ts"
import { usageError } from "./CliError.ts"
import { printableLine } from "./Printable.ts"

/** Milliseconds of a time that was given, bounds included; null: it was not given. Throws a CliError (64). */
export const readTime = (text: string | undefined, flag: string, most: number, least = 0): number | null => {
  if (text === undefined) return null
  const milliseconds = durationMs(text.trim())
  if (milliseconds === null || milliseconds < least || milliseconds > most)
    throw usageError(
      `"${printableLine(text.slice(0, 64))}" is no time for ${flag}.`,
      `Write seconds, or a number with a unit: 1500ms, 30s, 5m, 2h; ${least === 0 ? "" : `at least ${least}ms, `}at most ${most / 1000} s.`
    )
  return milliseconds
}

/** The exact text of a payload; `-` reads it from stdin, nothing is null. Throws a CliError (64). */
export const readPayload = async (given: string | undefined): Promise<string> => {
  if (given === undefined) return "null"
  const value = JsonText.parse(given === "-" ? (await buffer(process.stdin)).toString("utf8") : given)
  if (value === null)
    throw usageError(
      "The payload is not JSON.",
      `Mind the shell's quotes: --payload '{"rate": 10}'; a text is written '"like this"'.`
    )
  return value.text
}

/** Tags that were given as key=value, again and again; null: none. Throws a CliError (64). */
export const readTags = (given: ReadonlyArray<string> | undefined): Readonly<Record<string, unknown>> | null => {
  if (given === undefined || given.length === 0) return null
  const tags = new Map<string, string>()
  for (const pair of given) {
    const at = pair.indexOf("=")
    const shown = printableLine(pair.slice(0, 64))
    if (at < 1)
      throw usageError(`"${shown}" is no filter.`, "Write a tag as key=value: --filter device_type=gas_detector.")
    const name = pair.slice(0, at)
    if (tags.has(name))
      throw usageError(
        `"${shown}" is the second filter for the same tag.`,
        "A node has one value of a tag, and must fit all filters: give each value a command of its own."
      )
    tags.set(name, pair.slice(at + 1))
  }
  return Object.fromEntries(tags)
}
