const { accessSync, constants, lstatSync, mkdirSync } = require("node:fs")
const { tmpdir } = require("node:os")
const { dirname, join } = require("node:path")

/**
 * Null where it can't be made.
 * @param {string} folder
 * @param {{ mode: number, recursive: boolean }} options
 */
const made = (folder, options) => {
  try {
    mkdirSync(folder, options)
  } catch (error) {
    if (error.code !== "EEXIST") return null
  }
  return folder
}

/**
 * A cache holds code: one in a folder that is not ours, or that others may write to, would run theirs.
 * @param {string} folder
 */
const isPrivate = (folder) => {
  try {
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
  } catch {
    return false
  }
}

/** @param {string} folder */
const isWritable = (folder) => {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Where Node keeps compiled sources between runs: below the package when this user may write there, else a private
 * folder among the temporary files; null when there is neither. JavaScript, as it is needed before the first TypeScript.
 * @param {string} packageFolder
 * @param {string} temporary
 * @returns {string | null}
 */
const compileCacheFolder = (packageFolder = dirname(__dirname), temporary = tmpdir()) => {
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

module.exports = { compileCacheFolder }
