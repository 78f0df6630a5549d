import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const VARIABLE = "TRAILS_TEST_EMBEDDED_DATA"

/** Of a data folder: where trailsd keeps its embedded database. */
export const databaseOf = (dataDir: string): string => join(dataDir, "pglite")

/** Keeps the embedded database of a stopped server for others to begin with. Returns how to remove it. */
export const keepEmbeddedTemplate = (dataDir: string): (() => void) => {
  const folder = mkdtempSync(join(tmpdir(), "trailsd-template-"))
  cpSync(databaseOf(dataDir), databaseOf(folder), { recursive: true })
  process.env[VARIABLE] = folder
  return () => rmSync(folder, { recursive: true, force: true })
}

/** Gives a new data folder the database of the template, where there is one. */
export const copyEmbeddedTemplate = (dataDir: string): void => {
  const folder = process.env[VARIABLE]
  if (folder === undefined || existsSync(dataDir)) return
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  cpSync(databaseOf(folder), databaseOf(dataDir), { recursive: true })
}
