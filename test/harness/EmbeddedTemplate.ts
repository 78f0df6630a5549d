import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Trailsd } from "./Trailsd.ts"

const VARIABLE = "TRAILS_TEST_EMBEDDED_DATA"

/** Of a data folder: where trailsd keeps its embedded database. */
const databaseOf = (dataDir: string): string => join(dataDir, "pglite")

/**
 * An embedded database as a first start makes it, and stops it in order: making one takes 4 s of the processor, copying it
 * 0.1 s. Returns how to remove it.
 */
export const makeEmbeddedTemplate = async (): Promise<() => void> => {
  const folder = mkdtempSync(join(tmpdir(), "trailsd-template-"))
  const server = await Trailsd.start()
  await server.stop()
  cpSync(databaseOf(server.dataDir), databaseOf(folder), { recursive: true })
  await server.dispose()
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
