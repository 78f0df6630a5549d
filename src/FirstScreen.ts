import { delimiter, join, relative } from "node:path"
import { Redacted } from "effect"
import type { NatsSettings, SettingsShape } from "./Settings.ts"

export interface Started {
  readonly version: string
  /** See `trailsCommand`. */
  readonly trails: string
  readonly settings: SettingsShape
  /** The port that was really taken. */
  readonly port: number
  readonly serverKey: string
  /** Absolute path of a generated administrator's key. */
  readonly adminKeyFile: string | null
  /** Absolute. */
  readonly dataDir: string
}

/** The address that a client on this machine uses, e.g. `http://127.0.0.1:8443`. */
export const localUrl = (settings: SettingsShape, port: number): string => {
  const { host } = settings.listen
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host
  return `${settings.tls === null ? "http" : "https"}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`
}

export const endpointUrl = (settings: SettingsShape, port: number): string =>
  `${(settings.publicUrl ?? localUrl(settings, port)).replace(/^http/, "ws")}/ws`

/** Host and database, never the user or the password. */
const storage = ({ databaseUrl }: SettingsShape, dataDir: string): string => {
  if (databaseUrl === null) return `embedded in ${dataDir} (survives kill -9, not power loss)`
  const { host, pathname } = new URL(Redacted.value(databaseUrl))
  return `Postgres, database ${pathname.slice(1)}${host === "" ? "" : ` at ${host}`}`
}

/** Servers, never the login. */
const nats = ({ servers, tls }: NatsSettings): string =>
  `${servers.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(", ")}${tls ? ", with TLS" : ""}`

const level = ({ admission, loopback, minLevel }: SettingsShape): string => {
  if (minLevel !== "open") return `${minLevel}; nodes register with admission "${admission}"`
  return loopback
    ? "open: for this machine only, nothing is signed"
    : "open: ANYBODY who reaches the port can register and read; TRAILS_MIN_LEVEL=signed ends that"
}

const DEFAULT_PORT = 8443

/** The command line as this user can type it here: by its name where it is on the PATH, else by its shortest path. */
export const trailsCommand = (cwd: string, path: string, root = join(import.meta.dirname, "..")): string => {
  const folder = join(root, "bin")
  if (path.split(delimiter).includes(folder)) return "trails"
  const near = relative(cwd, join(folder, "trails"))
  return near.startsWith("..") ? join(folder, "trails") : near
}

/** What an operator wants to know at once, and commands that work as they stand. */
export const firstScreen = (started: Started): string => {
  const { adminKeyFile, dataDir, port, serverKey, settings, trails, version } = started
  const url = localUrl(settings, port)
  const unsigned = settings.minLevel === "open" && settings.loopback
  const curl = `curl${settings.tls === null ? "" : " -k"}`
  const server = port === DEFAULT_PORT ? "" : ` --server ${url}`
  return [
    `trailsd ${version} is ready`,
    "",
    `  endpoint  ${endpointUrl(settings, port)}`,
    `  level     ${level(settings)}`,
    `  storage   ${storage(settings, dataDir)}`,
    ...(settings.nats === null ? [] : [`  nats      ${nats(settings.nats)}`]),
    `  key       ${serverKey}`,
    ...(adminKeyFile === null || unsigned ? [] : [`  admin     ${adminKeyFile}`]),
    "",
    "Try next:",
    `  ${trails} run${server} --name hello -- sleep 1`,
    `  ${trails} tree${server}`,
    `  ${curl} ${url}${unsigned ? "/api/v1/apps" : "/readyz"}`,
    "",
    "Ctrl-C stops it.",
    ""
  ].join("\n")
}
