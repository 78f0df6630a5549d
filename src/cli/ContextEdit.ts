import { resolve } from "node:path"
import { parseUsableKey } from "../protocol/Keys.ts"
import { readAdminKey } from "./AdminSigner.ts"
import { usageError } from "./CliError.ts"
import { type Context, type Contexts, contextsFile, isContextName, readContexts, writeContexts } from "./Contexts.ts"
import { parseEndpoint } from "./Endpoint.ts"
import { notice, printJson, printText } from "./Output.ts"
import { type Paint, paintFor } from "./Paint.ts"
import { printableLine } from "./Printable.ts"

export interface AddedContext {
  readonly server?: string
  readonly adminKey?: string
  readonly serverKey?: string
}

const existing = ({ contexts }: Contexts, name: string): Context => {
  const context = Object.hasOwn(contexts, name) ? contexts[name] : undefined
  if (context !== undefined) return context
  const names = Object.keys(contexts)
  throw usageError(
    `There is no context "${printableLine(name.slice(0, 64))}".`,
    names.length === 0 ? "Make one: trails context add NAME --server URL" : `There are: ${names.join(", ")}.`
  )
}

export const contextLines = ({ contexts, current }: Contexts, paint: Paint): ReadonlyArray<string> => {
  const names = Object.keys(contexts).sort()
  const width = Math.max(0, ...names.map((name) => name.length))
  return names.map((name) => {
    const { adminKeyFile, server } = contexts[name] as Context
    const mark = name === current ? paint("green", "*") : " "
    return `${mark} ${name.padEnd(width)}  ${printableLine(server)}${adminKeyFile === null ? "" : `  ${printableLine(adminKeyFile)}`}`
  })
}

export const listContexts = (options: { readonly json?: boolean }): void => {
  const contexts = readContexts()
  if (options.json === true) return printJson(contexts)
  if (Object.keys(contexts.contexts).length === 0)
    return notice("No contexts yet. Make one: trails context add NAME --server URL")
  printText(contextLines(contexts, paintFor(process.stdout)).join("\n"))
}

/** Everything in it is tried before it is written. */
export const addContext = (name: string, { adminKey, server, serverKey }: AddedContext): void => {
  if (!isContextName(name))
    throw usageError(
      `"${printableLine(name.slice(0, 64))}" can't be a context's name.`,
      "Use up to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit."
    )
  if (server === undefined)
    throw usageError("Which server? --server is missing.", "E.g. --server wss://trails.example.org/ws")
  const contexts = readContexts()
  if (Object.hasOwn(contexts.contexts, name))
    throw usageError(`There is a context "${name}" already.`, `To replace it: trails context remove ${name}`)
  const { endpoint } = parseEndpoint(server, "--server")
  if (adminKey !== undefined) readAdminKey(adminKey)
  if (serverKey !== undefined && parseUsableKey(serverKey) === null)
    throw usageError("--server-key is no public key.", "It is ed25519:<base64>, as trailsd prints it.")
  const context: Context = {
    server: endpoint,
    adminKeyFile: adminKey === undefined ? null : resolve(adminKey),
    serverPubKey: serverKey ?? null
  }
  writeContexts({ ...contexts, contexts: { ...contexts.contexts, [name]: context } })
  notice(`Added to ${contextsFile()}. To use it: trails context use ${name}`)
}

/** `name` null: none is in use any more. */
export const useContext = (name: string | null): void => {
  const contexts = readContexts()
  const context = name === null ? null : existing(contexts, name)
  writeContexts({ ...contexts, current: name })
  notice(context === null ? "No context is in use." : `In use: ${name}, ${context.server}`)
  if (process.env["TRAILS_SERVER"]) notice("TRAILS_SERVER is set, and goes before it.")
}

export const removeContext = (name: string): void => {
  const contexts = readContexts()
  existing(contexts, name)
  const { [name]: _removed, ...rest } = contexts.contexts
  writeContexts({ current: contexts.current === name ? null : contexts.current, contexts: rest })
  notice(`Removed: ${name}${contexts.current === name ? ". No context is in use." : ""}`)
}
