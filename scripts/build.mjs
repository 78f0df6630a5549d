// Builds what `npm pack` packs: src as JavaScript in lib, at the same depth, so that what is found from a module's own
// place (package.json, the migrations, the script of a worker) is found from both.
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { bundleBuild } from "./bundleRun.mjs"

const root = dirname(import.meta.dirname)
const lib = join(root, "lib")

rmSync(lib, { recursive: true, force: true })
// The second one writes the types of what other programs import, `trailsd/events`.
for (const project of ["tsconfig.build.json", "tsconfig.events.json"]) {
  const tsc = [join(root, "node_modules/typescript/bin/tsc"), "-p", join(root, project)]
  const { status } = spawnSync(process.execPath, tsc, { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}
cpSync(join(root, "src/storage/migrations"), join(lib, "storage/migrations"), { recursive: true })

/** tsc rewrites what is imported, and leaves alone what is only named: scripts of threads and of other processes. */
const named = /(new URL\(\s*"[^"\n]+)\.ts("\s*,\s*import\.meta\.url\s*\))/g
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm
const overlooked = /"\.{0,2}\/?[\w./-]+\.ts"/

for (const name of globSync("**/*.js", { cwd: lib })) {
  const file = join(lib, name)
  const text = readFileSync(file, "utf8")
  const rewritten = text.replace(named, "$1.js$2")
  if (rewritten !== text) writeFileSync(file, rewritten)
  for (const [, path] of rewritten.matchAll(/new URL\(\s*"([^"\n]+\.js)"\s*,\s*import\.meta\.url/g)) {
    if (existsSync(join(dirname(file), path))) continue
    console.error(`lib/${name} names ${path}, which is not there`)
    process.exitCode = 1
  }
  const left = overlooked.exec(rewritten.replace(comments, ""))
  if (left === null) continue
  console.error(`lib/${name} names ${left[0]}: say new URL(…, import.meta.url), so that the build can rewrite it`)
  process.exitCode = 1
}

if (process.exitCode === undefined) await bundleBuild()
