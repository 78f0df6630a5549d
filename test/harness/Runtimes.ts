import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { npmInstall } from "./Npm.ts"

/** A program that runs JavaScript: its command line up to the script. */
export interface Runtime {
  readonly name: string
  readonly command: ReadonlyArray<string>
}

const ARM = process.arch === "arm64"
const DENO = `@deno/linux-${process.arch}-glibc`
const BUN = `@oven/bun-linux-${ARM ? "aarch64" : "x64"}`
const NODE = `npm:node-linux-${process.arch}`

/** Their programs are in the packages themselves, so that no install script has to run. */
const PACKAGES = { node20: `${NODE}@20.20.2`, node22: `${NODE}@22.23.3`, [DENO]: "2.9.6", [BUN]: "1.4.5" }
const CACHE = resolve(import.meta.dirname, "../../node_modules/.cache/trails")
const FOLDER = join(
  CACHE,
  `runtimes-${Object.values(PACKAGES)
    .join("-")
    .replaceAll(/[^\w.]+/g, "-")}`
)

/** The one that runs the tests. */
export const thisRuntime: Runtime = { name: "Node 24", command: [process.execPath] }

const fetchPackages = (): void => {
  mkdirSync(CACHE, { recursive: true })
  const folder = mkdtempSync(join(CACHE, "runtimes-"))
  try {
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: PACKAGES }))
    npmInstall(folder, "--no-package-lock")
    renameSync(folder, FOLDER)
  } catch (cause) {
    throw new Error(
      "The runtimes that the client is tested with could not be had from the npm registry. They are needed once, then " +
        `they are kept in node_modules/.cache/trails. Packages: ${JSON.stringify(PACKAGES)}`,
      { cause }
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Every runtime that the client is made for, in pinned versions; about 400 MB, downloaded once by npm. */
export const runtimes = (): ReadonlyArray<Runtime> => {
  if (!existsSync(FOLDER)) fetchPackages()
  const inside = (...path: ReadonlyArray<string>): string => join(FOLDER, "node_modules", ...path)
  return [
    { name: "Node 20", command: [inside("node20", "bin/node")] },
    { name: "Node 22", command: [inside("node22", "bin/node")] },
    thisRuntime,
    // Fewer permissions than `-A`: the client must do without those that it does not need.
    {
      name: "Deno",
      command: [inside(DENO, "deno"), "run", "--no-prompt", "--allow-net", "--allow-env", "--allow-read"]
    },
    { name: "Bun", command: [inside(BUN, "bin/bun"), "run"] }
  ]
}
