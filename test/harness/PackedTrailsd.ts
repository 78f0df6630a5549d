import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { npmInstall, npmPack } from "./Npm.ts"

const ROOT = resolve(import.meta.dirname, "../..")

/** The whole as a stranger gets it: built, packed, and installed globally below an empty prefix. */
export class PackedTrailsd {
  /** What the packed file holds. */
  readonly files: ReadonlyArray<string>
  /** `PATH` of a machine with its two commands and a Node of its own. */
  readonly path: string
  readonly #temporary: string

  private constructor(temporary: string, path: string, files: ReadonlyArray<string>) {
    this.#temporary = temporary
    this.path = path
    this.files = files
  }

  static install(): PackedTrailsd {
    const temporary = mkdtempSync(join(tmpdir(), "trailsd-package-"))
    const prefix = join(temporary, "prefix")
    const programs = join(temporary, "programs")
    for (const folder of [prefix, programs]) mkdirSync(folder)
    const { file, files } = npmPack(ROOT, temporary)
    // For no processor there is no bundled Node: its 190 MB would take as long as all the rest.
    npmInstall(prefix, "--global", "--cpu=none", file)
    symlinkSync(process.execPath, join(programs, "node"))
    return new PackedTrailsd(temporary, `${join(prefix, "bin")}:${programs}:/usr/bin:/bin`, files)
  }

  /** A program that finds what is installed, as in a project that depends on it and on a transport of NATS. */
  program(name: string, text: string): string {
    const library = join(this.#temporary, "prefix/lib")
    const modules = join(library, "node_modules")
    if (!existsSync(join(modules, "@nats-io")))
      symlinkSync(join(modules, "trailsd/node_modules/@nats-io"), join(modules, "@nats-io"))
    const file = join(library, name)
    writeFileSync(file, text)
    return file
  }

  dispose(): void {
    rmSync(this.#temporary, { recursive: true, force: true })
  }
}
