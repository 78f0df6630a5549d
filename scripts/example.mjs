// Runs an example against the client and the command line as they are in this folder.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"

const root = dirname(import.meta.dirname)
/** Programs that use the client, and scripts that use `trails`. */
const programs = { tree: "tree/parent.js", worker: "worker/worker.js", browser: "browser/serve.mjs" }
const scripts = {
  pipeline: "pipeline/run.sh",
  python: "python/run.sh",
  "wrapped-worker": "worker/run.sh",
  make: "make/run.sh"
}
const [name = "", ...rest] = process.argv.slice(2)
const program = Object.hasOwn(programs, name) ? programs[name] : undefined
const script = Object.hasOwn(scripts, name) ? scripts[name] : undefined
if (program === undefined && script === undefined) {
  const names = [...Object.keys(programs), ...Object.keys(scripts)].join(", ")
  console.error(`Which example? One of: ${names}. For instance: npm run example -- tree`)
  process.exit(64)
}

const run = (command, args, cwd) => {
  const path = [join(root, "bin"), process.env.PATH].filter(Boolean).join(delimiter)
  const env = { ...process.env, NODE: process.execPath, PATH: path }
  const { error, signal, status } = spawnSync(command, args, { cwd, env, stdio: "inherit" })
  if (error !== undefined) throw error
  return status ?? (signal === "SIGINT" ? 130 : 143)
}

/** Builds the client, and lets `@trailsd/client` mean the build. */
const linkClient = () => {
  const built = run(process.execPath, [join(root, "scripts/buildClient.mjs")], root)
  if (built !== 0) process.exit(built)
  const scope = join(root, "examples/node_modules/@trailsd")
  mkdirSync(scope, { recursive: true })
  const link = join(scope, "client")
  if (existsSync(link)) rmSync(link, { recursive: true })
  symlinkSync(join(root, "dist/client"), link)
}

if (program !== undefined || name === "wrapped-worker") linkClient()
const [command, file] = program === undefined ? ["sh", script] : [process.execPath, program]
process.exit(run(command, [file, ...rest], join(root, "examples")))
