// Builds @trailsd/client, ready for `npm pack`: the client and the part of the protocol that it stands on, as JavaScript
// with types. Into dist/client, or into the folder that is given.
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

const root = dirname(import.meta.dirname)
const folder = resolve(process.argv[2] ?? join(root, "dist/client"))
const { author, dependencies, license, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const licences = ["LICENSE", "LICENSE-APACHE", "LICENSE-MIT"]

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const tsc = [
  join(root, "node_modules/typescript/bin/tsc"),
  "-p",
  join(root, "tsconfig.client.json"),
  "--outDir",
  folder
]
const { status } = spawnSync(process.execPath, tsc, { stdio: "inherit" })
if (status !== 0) process.exit(status ?? 1)

for (const name of licences) copyFileSync(join(root, name), join(folder, name))
copyFileSync(join(root, "src/client/README.md"), join(folder, "README.md"))
const manifest = {
  name: "@trailsd/client",
  version,
  description: "Makes a program a node of a TRAILS tree: durable status, result and error, from two lines",
  license,
  author,
  type: "module",
  sideEffects: false,
  engines: { node: ">=20" },
  exports: {
    ".": {
      browser: { types: "./client/browser.d.ts", default: "./client/browser.js" },
      types: "./client/index.d.ts",
      default: "./client/index.js"
    },
    "./package.json": "./package.json"
  },
  types: "./client/index.d.ts",
  files: ["client", "protocol", ...licences],
  // What it was built and tested with, and whatever is compatible with that.
  dependencies: Object.fromEntries(["@noble/ed25519", "ws"].map((name) => [name, `^${dependencies[name]}`]))
}
writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`)
