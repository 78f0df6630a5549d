import { mkdirSync, renameSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parseKey } from "../protocol/Keys.ts"
import { usageError } from "./CliError.ts"
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

export const contextsFile = (): string => join(trailsHome(), "contexts.json")

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
export const readContexts = (path: string = contextsFile()): Contexts => {
  const file = readJsonObject(path)
  if (file === null) return { current: null, contexts: {} }
  if (typeof file === "string")
    throw usageError(`${file}.`, "Mend it or remove it; trails context add makes a new one.")
  const contexts: Record<string, Context> = Object.create(null)
  for (const [name, value] of Object.entries(file["contexts"] ?? {})) contexts[name] = readContext(path, name, value)
  const { current } = file
  if (current != null && (typeof current !== "string" || contexts[current] === undefined))
    throw damaged(path, "the context in use is not among its contexts")
  return { current: current ?? null, contexts }
}

/** By a rename, so that a reader never sees half of it. */
export const writeContexts = (contexts: Contexts, path: string = contextsFile()): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.new`
  writeFileSync(temporary, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 })
  renameSync(temporary, path)
}
