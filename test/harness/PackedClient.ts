import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { npmInstall, npmPack } from "./Npm.ts"

const BUILD = resolve(import.meta.dirname, "../../scripts/buildClient.mjs")

/** The client as a stranger gets it: built, packed, and installed from the packed file into an empty folder. */
export class PackedClient {
  /** Where it is installed. */
  readonly folder: string
  /** What the packed file holds. */
  readonly files: ReadonlyArray<string>
  readonly #temporary: string

  private constructor(temporary: string, folder: string, files: ReadonlyArray<string>) {
    this.#temporary = temporary
    this.folder = folder
    this.files = files
  }

  static install(): PackedClient {
    const temporary = mkdtempSync(join(tmpdir(), "trails-package-"))
    const build = join(temporary, "build")
    const folder = join(temporary, "installed")
    mkdirSync(folder)
    execFileSync(process.execPath, [BUILD, build], { timeout: 60_000 })
    const { file, files } = npmPack(build, temporary)
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }))
    npmInstall(folder, file)
    return new PackedClient(temporary, folder, files)
  }

  dispose(): void {
    rmSync(this.#temporary, { recursive: true, force: true })
  }
}
