// `trails run` in a few files, for bin/start.cjs: Node takes about half a millisecond for each module, and a run loads sixty.
// Of a clone's sources it is kept below node_modules, with their sizes and times, and taken only while they are the same.
import { randomUUID } from "node:crypto"
import { readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, isAbsolute, join, relative, resolve } from "node:path"
import { freshBundle } from "../bin/freshBundle.cjs"

const root = dirname(import.meta.dirname)
/** A bundle of other sources is kept for so long, milliseconds. */
const OLD_MS = 24 * 3600_000

/** What runs before the pipes are ordered, and what runs from then on until the command is started; the rest may wait. */
const first =
  /\/(?:cli\/(?:quickRun|RunOptions|startRun|CliError|explain|Printable)|run\/PrivateFolder|protocol\/Duration)\.[jt]s$/
const groups = [
  { name: "first", test: first, priority: 3 },
  { name: "command", tags: ["$initial"], priority: 2 },
  { name: "client", test: /./, priority: 1 }
]

/** Modules find the launchers and the script of the reporter from their own place, which is another one in the bundle. */
const places = (folder) => ({
  name: "places",
  transform: (code, id) =>
    code.replace(/new URL\("(\.[^"]+)", import\.meta\.url\)/g, (_, path) => {
      const target = relative(folder, resolve(dirname(id), path))
      return `new URL(${JSON.stringify(target)}, import.meta.url)`
    })
})

/** Before the command is started nothing is loaded that may wait, and no package. */
const check = (chunks) => {
  const early = {
    "quickRun.cjs": ["first.cjs"],
    "first.cjs": [],
    "runCommand.cjs": ["command.cjs"],
    "command.cjs": ["first.cjs"]
  }
  for (const { fileName, imports } of chunks) {
    const foreign = imports.find((name) => !name.startsWith("node:") && !early[fileName]?.includes(name))
    if (fileName in early && foreign !== undefined)
      throw new Error(`the bundle's ${fileName} imports ${foreign}, before the command is started`)
  }
}

/** Writes the bundle of `src`, or of its build in `lib`, into `folder`; returns the paths of the modules that are in it. */
const bundle = async (sources, folder) => {
  const { rolldown } = await import("rolldown")
  const entry = (name) => join(root, sources, `cli/${name}.${sources === "src" ? "ts" : "js"}`)
  const made = await rolldown({
    cwd: root,
    input: { quickRun: entry("quickRun"), runCommand: entry("RunCommand") },
    platform: "node",
    external: [/^node:/, "ws"],
    plugins: [places(folder)]
  })
  const { output } = await made.write({
    dir: folder,
    format: "cjs",
    entryFileNames: "[name].cjs",
    chunkFileNames: "[name].cjs",
    codeSplitting: { groups }
  })
  await made.close()
  check(output)
  return output.flatMap(({ moduleIds = [] }) => moduleIds).filter((id) => isAbsolute(id))
}

/** For `npm pack`: beside the build, which nobody changes. */
export const bundleBuild = async () => {
  const place = join(root, "lib/run-bundle")
  await bundle("lib", join(place, "run"))
  writeFileSync(join(place, "newest.json"), JSON.stringify({ folder: "run", inputs: [] }))
}

/** What is there stays as long as it is fresh. Runs that are under way load the rest of theirs from the one before. */
const bundleSources = async () => {
  const place = join(root, "node_modules/.cache/trails-run")
  const before = freshBundle(place)
  if (before !== null) return
  const folder = randomUUID()
  const facts = (id) => {
    const { mtimeMs, size } = statSync(id)
    return [relative(root, id), size, mtimeMs]
  }
  const inputs = (await bundle("src", join(place, folder))).map(facts)
  const known = readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  writeFileSync(join(place, `${folder}.json`), JSON.stringify({ folder, inputs }))
  renameSync(join(place, `${folder}.json`), join(place, "newest.json"))
  for (const { name } of known) {
    const isOld = Date.now() - statSync(join(place, name)).mtimeMs > OLD_MS
    if (name !== folder && isOld) rmSync(join(place, name), { recursive: true, force: true })
  }
}

if (process.argv[1] === import.meta.filename) await bundleSources()
