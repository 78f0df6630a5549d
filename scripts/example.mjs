// Runs an example against the client as it is in this folder: builds it, and lets `@trailsd/client` mean the build.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"

const root = dirname(import.meta.dirname)
const examples = { tree: "tree/parent.js", worker: "worker/worker.js", browser: "browser/serve.mjs" }
const [name, ...rest] = process.argv.slice(2)
const file = Object.hasOwn(examples, name ?? "") ? examples[name] : undefined
if (file === undefined) {
  console.error(`Which example? One of: ${Object.keys(examples).join(", ")}. For instance: npm run example -- tree`)
  process.exit(64)
}
const run = (args, cwd) => {
  const { error, signal, status } = spawnSync(process.execPath, args, { cwd, stdio: "inherit" })
  if (error !== undefined) throw error
  return status ?? (signal === "SIGINT" ? 130 : 143)
}
const built = run([join(root, "scripts/buildClient.mjs")], root)
if (built !== 0) process.exit(built)
const scope = join(root, "examples/node_modules/@trailsd")
mkdirSync(scope, { recursive: true })
const link = join(scope, "client")
if (existsSync(link)) rmSync(link, { recursive: true })
symlinkSync(join(root, "dist/client"), link)
process.exit(run([file, ...rest], join(root, "examples")))
