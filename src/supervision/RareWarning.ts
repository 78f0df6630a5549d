import { Effect } from "effect"

/** What is tried several times a second tells the same trouble once in so many milliseconds. */
const SAME_AGAIN = 30_000

/** Logs `message(text)`, unless the same `text` was logged a moment ago. */
export const rareWarning = (
  now: () => number,
  message: (text: string) => string
): ((text: string) => Effect.Effect<void>) => {
  let last = { text: "", at: Number.NEGATIVE_INFINITY }
  return (text) =>
    Effect.suspend(() => {
      if (text === last.text && now() - last.at < SAME_AGAIN) return Effect.void
      last = { text, at: now() }
      return Effect.logWarning(message(text))
    })
}
