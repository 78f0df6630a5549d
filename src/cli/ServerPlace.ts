import { join, resolve } from "node:path"
import { decodeEnvelope, isEnvelopeProblem } from "../protocol/Envelope.ts"
import type { Level } from "../protocol/Frames.ts"
import { parseKey } from "../protocol/Keys.ts"
import { isLevel } from "../protocol/Level.ts"
import { readContexts } from "./Contexts.ts"
import { isLoopback, parseEndpoint, portOf } from "./Endpoint.ts"
import { readJsonObject, trailsHome } from "./TrailsHome.ts"

/** Which server is meant, where its address was found (PROTOCOL §13), and what is known of it beforehand. */
export interface ServerPlace {
  /** WebSocket URL, e.g. `ws://127.0.0.1:8443/ws`. */
  readonly endpoint: string
  /** Base of the REST API without a closing slash, e.g. `http://127.0.0.1:8443`. */
  readonly url: string
  readonly source: "--server" | "TRAILS_SERVER" | "context" | "TRAILS_INFO" | "default"
  /** `ed25519:<base64>`. */
  readonly serverPubKey: string | null
  /** The weakest level that it takes, as it said of itself. */
  readonly level: Level | null
  /** Absolute path of the administrator's private key. */
  readonly adminKeyFile: string | null
}

/** What the server's own file says (`ServerAdvert.ts`); a file that can't be understood says nothing. */
type Advertised = Pick<ServerPlace, "serverPubKey" | "level" | "adminKeyFile">

const DEFAULT = "ws://127.0.0.1:8443/ws"
const NOTHING: Advertised = { serverPubKey: null, level: null, adminKeyFile: null }

const keyOf = (value: unknown): string | null => (typeof value === "string" && parseKey(value) !== null ? value : null)

const advertised = (url: string): Advertised => {
  const home = trailsHome()
  if (home === null || !isLoopback(url)) return NOTHING
  const file = readJsonObject(join(home, "servers", `${portOf(url)}.json`))
  if (file === null || typeof file === "string") return NOTHING
  const { adminKeyFile, level, serverPubKey } = file
  return {
    serverPubKey: keyOf(serverPubKey),
    level: isLevel(level) ? level : null,
    adminKeyFile: typeof adminKeyFile === "string" ? adminKeyFile : null
  }
}

/** Where to look and what is known by whoever named the place; what the server's own file says fills the gaps. */
const placed = (
  source: ServerPlace["source"],
  text: string,
  name: string,
  known: Partial<Advertised> = {}
): ServerPlace => {
  const found = parseEndpoint(text, name)
  const file = advertised(found.url)
  const override = process.env["TRAILS_ADMIN_KEY_FILE"]
  return {
    ...found,
    source,
    serverPubKey: known.serverPubKey ?? file.serverPubKey,
    level: known.level ?? file.level,
    adminKeyFile: override ? resolve(override) : (known.adminKeyFile ?? file.adminKeyFile)
  }
}

/**
 * The server that the command line means: `--server`, `TRAILS_SERVER`, the context in use, `TRAILS_INFO`, else the one
 * on this machine. Reads small files only. Throws a CliError (64) on an address that is none; a `TRAILS_INFO` that
 * can't be read counts as absent, as it does for the client.
 */
export const findServer = (option?: string): ServerPlace => {
  if (option !== undefined) return placed("--server", option, "--server")
  const variable = process.env["TRAILS_SERVER"]
  if (variable) return placed("TRAILS_SERVER", variable, "TRAILS_SERVER")
  const { contexts, current } = readContexts()
  const context = current === null ? undefined : contexts[current]
  if (context !== undefined) return placed("context", context.server, `The context ${current}`, context)
  const info = process.env["TRAILS_INFO"]
  const envelope = info ? decodeEnvelope(info.trim()) : null
  if (envelope !== null && !isEnvelopeProblem(envelope))
    return placed("TRAILS_INFO", envelope.serverEp, "TRAILS_INFO", { serverPubKey: envelope.serverPubKey })
  return placed("default", DEFAULT, "The default address")
}
