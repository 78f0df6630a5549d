import { execFileSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { delimiter, join } from "node:path"

/** Where a Postgres server's programs live, and which major version they are. */
export interface PostgresBinaries {
  readonly dir: string
  readonly major: number
}

export const minimumMajor = 15

const output = (program: string, args: ReadonlyArray<string>): string | null => {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return null
  }
}

/** `/usr/lib/postgresql` (Debian) and `/usr/pgsql-NN` (RPM): neither puts its server programs on PATH. */
const packaged = (): Array<string> => {
  const versions = (parent: string): Array<string> => (existsSync(parent) ? readdirSync(parent) : [])
  return [
    ...versions("/usr/lib/postgresql").map((name) => join("/usr/lib/postgresql", name, "bin")),
    ...versions("/usr")
      .filter((name) => name.startsWith("pgsql-"))
      .map((name) => join("/usr", name, "bin"))
  ]
}

/** `pg_config` also comes with client libraries alone, therefore the server's own programs are asked. */
const inspect = (dir: string): PostgresBinaries | null => {
  if (!["postgres", "initdb", "pg_ctl"].every((name) => existsSync(join(dir, name)))) return null
  const version = output(join(dir, "postgres"), ["--version"])?.match(/\(PostgreSQL\) (\d+)/)?.[1]
  return version === undefined ? null : { dir, major: Number(version) }
}

/** Every server found: the one `pg_config` names, then packages (newest first), then PATH. */
export const installedPostgres = (): ReadonlyArray<PostgresBinaries> => {
  const configured = output("pg_config", ["--bindir"])
  const byVersion = packaged().sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((dir) => dir !== "")
  const dirs = new Set([...(configured === null ? [] : [configured]), ...byVersion, ...path])
  return [...dirs].map(inspect).filter((found) => found !== null)
}

/** The first server that is new enough. Throws with what to install: a test never runs against something else. */
export const findPostgres = (): PostgresBinaries => {
  const installed = installedPostgres()
  const found = installed.find(({ major }) => major >= minimumMajor)
  if (found !== undefined) return found
  const seen = installed.map(({ dir, major }) => `${major} in ${dir}`).join(", ")
  throw new Error(
    `The tests need the server programs of Postgres ${minimumMajor} or newer; found ${seen === "" ? "none" : seen}. ` +
      "Install the package (Debian: apt-get install postgresql) or put its bin folder on PATH. " +
      "No running server is needed: the tests start their own."
  )
}
