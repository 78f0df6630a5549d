import { Cause } from "effect"

const MAX_LENGTH = 300

const REDACTIONS: ReadonlyArray<readonly [RegExp, string]> = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, "<redacted>"],
  [/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, "$1<redacted>@"],
  [
    /\b(password|passwd|secret|token|apikey|api_key|authorization)(["']?\s*[=:]\s*)("[^"]*"|'[^']*'|(bearer |basic )?[^\s,;&]+)/gi,
    "$1$2<redacted>"
  ]
]

const describe = (error: unknown): string => {
  if (error instanceof Error) {
    const tag = "_tag" in error && typeof error._tag === "string" ? error._tag : error.name
    return error.message === "" ? tag : `${tag}: ${error.message}`
  }
  if (typeof error === "string") return error
  if (typeof error === "object" && error !== null && "_tag" in error) return String(error._tag)
  // An arbitrary value may carry anything: its kind is all that is said.
  return typeof error
}

/**
 * The most telling error of a cause in one bounded line, for operators: no stack, no nested causes, and credentials that
 * a library put into its message removed.
 */
export const causeText = (cause: Cause.Cause<unknown>): string => {
  const text = Cause.hasInterruptsOnly(cause) ? "interrupted" : describe(Cause.squash(cause))
  const safe = REDACTIONS.reduce((line, [pattern, replacement]) => line.replace(pattern, replacement), text)
    .replace(/\s+/g, " ")
    .trim()
  return safe.length > MAX_LENGTH ? `${safe.slice(0, MAX_LENGTH - 1)}…` : safe
}
