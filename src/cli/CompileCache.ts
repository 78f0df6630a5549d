import { accessSync, constants, lstatSync, mkdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

/** Null where it can't be made. */
const made = (folder: string, options: { readonly mode: number; readonly recursive: boolean }): string | null => {
  try {
    mkdirSync(folder, options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return null
  }
  return folder
}

/** A cache holds code: one in a folder that is not ours, or that others may write to, would run theirs. */
const isPrivate = (folder: string): boolean => {
  try {
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
  } catch {
    return false
  }
}

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Where Node keeps compiled sources between runs: below the package when this user may write there, else a private
 * folder among the temporary files; null when there is neither.
 */
export const compileCacheFolder = (
  packageFolder: string = dirname(dirname(import.meta.dirname)),
  temporary: string = tmpdir()
): string | null => {
  if (isWritable(packageFolder)) {
    const own = made(join(packageFolder, "node_modules", ".cache", "trails"), { mode: 0o755, recursive: true })
    if (own !== null && isPrivate(own)) return own
  }
  const shared = made(join(temporary, `trails-cache-${process.getuid?.() ?? "user"}`), {
    mode: 0o700,
    recursive: false
  })
  return shared !== null && isPrivate(shared) ? shared : null
}
