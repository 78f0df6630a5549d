import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { isAbsolute, join } from "node:path"
import { Effect, type Scope } from "effect"
import type { Level } from "../protocol/Frames.ts"

/** What the command line of the same user needs to find and to command this server. */
export interface Advert {
  /** WebSocket endpoint, e.g. `ws://127.0.0.1:8443/ws`. */
  readonly endpoint: string
  /** Base of the REST API, e.g. `http://127.0.0.1:8443`. */
  readonly url: string
  /** The minimum level. */
  readonly level: Level
  /** `ed25519:` + base64: what clients pin. */
  readonly serverPubKey: string
  /** Absolute path of the administrator's private key. */
  readonly adminKeyFile: string
  readonly pid: number
}

/**
 * Writes `~/.trails/servers/<port>.json` (0600) for the length of the scope (PROTOCOL §4). A home that can't be written
 * to is no reason not to serve: the answer is then a warning.
 */
export const advertise = (
  port: number,
  advert: Advert,
  home?: string
): Effect.Effect<string | null, never, Scope.Scope> => {
  let path = `~/.trails/servers/${port}.json`
  const write = Effect.try({
    try: () => {
      // homedir() throws for a user whom the system does not know, as a container's may be.
      const base = home ?? homedir()
      if (!isAbsolute(base)) throw new Error("HOME is not an absolute path")
      const folder = join(base, ".trails", "servers")
      path = join(folder, `${port}.json`)
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      writeFileSync(`${path}.new`, `${JSON.stringify(advert, null, 2)}\n`, { mode: 0o600 })
      renameSync(`${path}.new`, path)
      return null
    },
    catch: (cause) => `${path} could not be written: ${cause instanceof Error ? cause.message : String(cause)}`
  }).pipe(Effect.catch((problem) => Effect.succeed(problem)))
  return Effect.acquireRelease(write, () => Effect.sync(() => withdraw(path, advert.pid)))
}

/** Leaves the file alone when a newer server on the same port has written its own. */
const withdraw = (path: string, pid: number): void => {
  try {
    if ((JSON.parse(readFileSync(path, "utf8")) as Advert).pid === pid) rmSync(path)
  } catch {
    // Gone already, or not ours to read.
  }
}
