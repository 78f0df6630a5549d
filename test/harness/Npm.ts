import { execFileSync } from "node:child_process"
import { join } from "node:path"

export interface Packed {
  /** The packed file. */
  readonly file: string
  /** What it holds, paths within the package. */
  readonly files: ReadonlyArray<string>
}

/** `npm pack` of the package in `folder`, into `destination`; builds it first where it says how. */
export const npmPack = (folder: string, destination: string): Packed => {
  const output = execFileSync("npm", ["pack", "--json", "--pack-destination", destination], {
    cwd: folder,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000
  })
  const [packed] = JSON.parse(output) as ReadonlyArray<{
    readonly filename: string
    readonly files: ReadonlyArray<{ readonly path: string }>
  }>
  if (packed === undefined) throw new Error("npm pack packed nothing")
  return { file: join(destination, packed.filename), files: packed.files.map(({ path }) => path) }
}

/** `npm install` without what nobody asked for. Fails with what npm said. */
export const npmInstall = (folder: string, ...args: ReadonlyArray<string>): void => {
  execFileSync(
    "npm",
    ["install", "--prefix", folder, "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", ...args],
    {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 240_000
    }
  )
}
