import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseKey } from "../protocol/Keys.ts"
import { CliError, EXIT, usageError } from "./CliError.ts"
import { readJsonObject, trailsHome } from "./TrailsHome.ts"

/** A server under a name of the user's choice (PROTOCOL §13). */
export interface Context {
  readonly server: string
  /** Absolute path. */
  readonly adminKeyFile: string | null
  /** `ed25519:<base64>`, pinned. */
  readonly serverPubKey: string | null
}

export interface Contexts {
  /** The one in use. */
  readonly current: string | null
  readonly contexts: Readonly<Record<string, Context>>
}

const NAME = /^[a-zA-Z0-9][\w.-]{0,63}$/

/** Null where there is no home to keep it in. */
export const contextsFile = (): string | null => {
  const home = trailsHome()
  return home === null ? null : join(home, "contexts.json")
}

export const isContextName = (name: string): boolean => NAME.test(name)

const damaged = (path: string, what: string) =>
  usageError(`${path} is damaged: ${what}.`, `Mend it, or remove it and make the contexts again: trails context add`)

const readContext = (path: string, name: string, value: unknown): Context => {
  const { server, adminKeyFile, serverPubKey } = (value ?? {}) as Readonly<Record<string, unknown>>
  if (!isContextName(name) || typeof server !== "string") throw damaged(path, "a context has no name or no server")
  if (adminKeyFile != null && typeof adminKeyFile !== "string")
    throw damaged(path, `adminKeyFile of ${name} is no path`)
  if (serverPubKey != null && (typeof serverPubKey !== "string" || parseKey(serverPubKey) === null))
    throw damaged(path, `serverPubKey of ${name} is no key`)
  return { server, adminKeyFile: adminKeyFile ?? null, serverPubKey: serverPubKey ?? null }
}

/** Without the file there are none. */
export const readContexts = (path: string | null = contextsFile()): Contexts => {
  const file = path === null ? null : readJsonObject(path)
  if (path === null || file === null) return { current: null, contexts: {} }
  if (typeof file === "string")
    throw usageError(`${file}.`, "Mend it or remove it; trails context add makes a new one.")
  const contexts: Record<string, Context> = Object.create(null)
  for (const [name, value] of Object.entries(file["contexts"] ?? {})) contexts[name] = readContext(path, name, value)
  const { current } = file
  if (current != null && (typeof current !== "string" || contexts[current] === undefined))
    throw damaged(path, "the context in use is not among its contexts")
  return { current: current ?? null, contexts }
}

/** By a rename, so that a reader never sees half of it. Throws a CliError (73) where nothing can be written. */
export const writeContexts = (contexts: Contexts, path: string | null = contextsFile()): void => {
  if (path === null) throw unkept("this user has no home folder")
  const temporary = `${path}.${process.pid}.new`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(temporary, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 })
    renameSync(temporary, path)
  } catch (error) {
    throw unkept(`${path} can't be written (${(error as NodeJS.ErrnoException).code ?? "unknown error"})`)
  }
}

const unkept = (why: string) =>
  new CliError(
    `The contexts can't be kept: ${why}.`,
    EXIT.cannotCreate,
    "Set HOME to a folder that may be written to, or name the server by --server or TRAILS_SERVER."
  )
