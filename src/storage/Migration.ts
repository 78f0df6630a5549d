import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"

/**
 * One file `NNNNNN_name.sql`, which never changes once it is applied. From 000010 on its first line says who may go on
 * beside it (docs/decisions/0050):
 * - `-- expand`: replicas that don't know it, as before.
 * - `-- contract N`: those that know migration N or a later one. The others refuse to run.
 */
export interface Migration {
  readonly number: number
  readonly name: string
  readonly text: string
  /** SHA-256 of the text, hex. */
  readonly checksum: string
  /** The newest migration of a replica must be this one or a later one; 0: any may run. */
  readonly requires: number
}

/** The last one from before there were such first lines: who doesn't know one of these refuses to run, whatever it does. */
const LAST_UNMARKED = 9

const FILE = /^(\d{6})_([a-z0-9_]+)\.sql$/
const MARK = /^-- (?:(expand)|contract (\d+))\n/

/** Throws when the file doesn't say it, or asks for a migration behind itself: no replica would know that one. */
const requirementOf = (number: number, text: string): number => {
  if (number <= LAST_UNMARKED) return number
  const mark = MARK.exec(text)
  if (mark === null) throw new Error(`migration ${number} begins neither with "-- expand" nor with "-- contract N"`)
  if (mark[1] !== undefined) return 0
  const requires = Number(mark[2])
  if (requires < 1 || requires > number) throw new Error(`migration ${number} can't require migration ${requires}`)
  return requires
}

export const migrationOf = (number: number, name: string, text: string): Migration => ({
  number,
  name,
  text,
  checksum: createHash("sha256").update(text).digest("hex"),
  requires: requirementOf(number, text)
})

/** Those of a folder, in order. */
export const migrationsIn = (folder: URL): ReadonlyArray<Migration> =>
  readdirSync(folder)
    .flatMap((file) => {
      const match = FILE.exec(file)
      if (match === null) return []
      const text = readFileSync(new URL(file, folder), "utf8").replaceAll("\r\n", "\n")
      return [migrationOf(Number(match[1]), match[2]!, text)]
    })
    .sort((a, b) => a.number - b.number)

export const bundledMigrations = (): ReadonlyArray<Migration> => migrationsIn(new URL("./migrations/", import.meta.url))

/** Number of the last one, 0 without any: what a replica that knows these tells the others. */
export const newestOf = (known: ReadonlyArray<Migration>): number => known.at(-1)?.number ?? 0
