import { readFileSync } from "node:fs"
import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"

/**
 * `~/.trails`: what trailsd and the command line of one user know of each other (PROTOCOL §4). Null for a user without a
 * home: a container's that is but a number, say. A relative one would be another in each folder, and anybody's.
 */
export const trailsHome = (): string | null => {
  try {
    const home = homedir()
    return isAbsolute(home) ? join(home, ".trails") : null
  } catch {
    return null
  }
}

/** The JSON object of a small file; null when there is no such file; the problem, as text, when it holds anything else. */
export const readJsonObject = (path: string): Readonly<Record<string, unknown>> | string | null => {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === "ENOENT" || code === "ENOTDIR" ? null : `${path} can't be read (${code ?? "unknown error"})`
  }
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Said below: what JSON.parse says quotes the file.
  }
  return `${path} does not hold a JSON object`
}
