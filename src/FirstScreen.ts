import { Redacted } from "effect"
import type { SettingsShape } from "./Settings.ts"

export interface Started {
  readonly version: string
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

const level = ({ admission, loopback, minLevel }: SettingsShape): string => {
  if (minLevel !== "open") return `${minLevel}; nodes register with admission "${admission}"`
  return loopback
    ? "open: for this machine only, nothing is signed"
    : "open: ANYBODY who reaches the port can register and read; TRAILS_MIN_LEVEL=signed ends that"
}

/** What an operator wants to know at once, and commands that work as they stand. */
export const firstScreen = ({ adminKeyFile, dataDir, port, serverKey, settings, version }: Started): string => {
  const url = localUrl(settings, port)
  const unsigned = settings.minLevel === "open" && settings.loopback
  const curl = `curl${settings.tls === null ? "" : " -k"}`
  return [
    `trailsd ${version} is ready`,
    "",
    `  endpoint  ${endpointUrl(settings, port)}`,
    `  level     ${level(settings)}`,
    `  storage   ${storage(settings, dataDir)}`,
    `  key       ${serverKey}`,
    ...(adminKeyFile === null || unsigned ? [] : [`  admin     ${adminKeyFile}`]),
    "",
    "Try next:",
    ...(unsigned
      ? [
          `  ${curl} ${url}/api/v1/apps`,
          `  ${curl} ${url}/api/v1/roots -H 'Content-Type: application/json' -d '{"appName":"hello"}'`
        ]
      : [`  ${curl} ${url}/readyz`, `  ${curl} ${url}/metrics`]),
    "",
    "Ctrl-C stops it.",
    ""
  ].join("\n")
}
