const { readFileSync, statSync } = require("node:fs")
const { join } = require("node:path")

const root = join(__dirname, "..")

/**
 * Where scripts/bundleRun.mjs has put `trails run` in one piece, as long as none of its sources has changed since; else null.
 * @param {string} place folder of bundles
 * @returns {string | null} folder of the bundle
 */
const freshBundle = (place) => {
  try {
    const { folder, inputs } = JSON.parse(readFileSync(join(place, "newest.json"), "utf8"))
    for (const [path, size, mtimeMs] of inputs) {
      // Not by join(), which takes longer than the look itself.
      const found = statSync(`${root}/${path}`)
      if (found.size !== size || found.mtimeMs !== mtimeMs) return null
    }
    return join(place, folder)
  } catch {
    // There is none, or a source of it is gone.
    return null
  }
}

module.exports = { freshBundle }
