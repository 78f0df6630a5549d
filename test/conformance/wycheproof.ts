import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/**
 * Project Wycheproof's Ed25519 vectors, which are not ours to carry: Debian ships them inside the Go library circl.
 * The package is downloaded once into node_modules/.cache, nothing is installed.
 */

const PACKAGE = "golang-github-cloudflare-circl-dev"
const INSIDE = "usr/share/gocode/src/github.com/cloudflare/circl/sign/ed25519/testdata/wycheproof_Ed25519.json"
const CACHE = fileURLToPath(new URL("../../node_modules/.cache/trails", import.meta.url))
const CACHED = join(CACHE, "wycheproof_Ed25519.json")

export interface WycheproofCase {
  readonly tcId: number
  readonly comment: string
  readonly msg: string
  readonly sig: string
  readonly result: "valid" | "invalid" | "acceptable"
}

export interface WycheproofFile {
  readonly numberOfTests: number
  readonly testGroups: ReadonlyArray<{
    readonly key: { readonly pk: string }
    readonly tests: ReadonlyArray<WycheproofCase>
  }>
}

const root = process.getuid?.() === 0

const run = (command: string, args: ReadonlyArray<string>, cwd: string): void => {
  execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "pipe"], timeout: 120_000 })
}

/** The `_apt` user can't write into the cache; as root apt would warn and fall back. */
const apt = (args: ReadonlyArray<string>, cwd: string): void =>
  run("apt-get", root ? ["-o", "APT::Sandbox::User=root", ...args] : args, cwd)

const fetchPackage = (folder: string): void => {
  try {
    apt(["download", PACKAGE], folder)
  } catch (failure) {
    if (!root) throw failure
    apt(["update"], folder)
    apt(["download", PACKAGE], folder)
  }
}

const remedy = (cause: unknown): Error =>
  new Error(
    `Wycheproof's Ed25519 vectors could not be had from Debian's package ${PACKAGE}. They are needed once, then they ` +
      `are kept in node_modules/.cache/trails. Check that this is a Debian with network access to its mirror, run ` +
      `"apt-get update" as root, and then the tests again. Without apt: put the file ${INSIDE} of that package at ` +
      `${CACHED}.`,
    { cause }
  )

export const wycheproof = (): WycheproofFile => {
  if (!existsSync(CACHED)) {
    mkdirSync(CACHE, { recursive: true })
    const folder = mkdtempSync(join(CACHE, "wycheproof-"))
    try {
      fetchPackage(folder)
      const archive = readdirSync(folder).find((name) => name.endsWith(".deb"))
      if (archive === undefined) throw new Error("apt-get download left no package")
      run("dpkg-deb", ["-x", archive, "files"], folder)
      renameSync(join(folder, "files", INSIDE), CACHED)
    } catch (cause) {
      throw remedy(cause)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return JSON.parse(readFileSync(CACHED, "utf8")) as WycheproofFile
}
