import { isIP } from "node:net"
import { durationMs, showDuration } from "./protocol/Duration.ts"
import type { Level } from "./protocol/Frames.ts"
import type { NatsLogin } from "./Settings.ts"

/** A decoded value, or what is wrong with the text: a phrase that follows the variable's name and `: `. */
export type Parsed<A> = { readonly ok: true; readonly value: A } | { readonly ok: false; readonly problem: string }

const good = <A>(value: A): Parsed<A> => ({ ok: true, value })
const bad = (problem: string): Parsed<never> => ({ ok: false, problem })

const oneOf =
  <const A extends string>(...names: ReadonlyArray<A>) =>
  (text: string): Parsed<A> => {
    const found = names.find((name) => name === text)
    return found === undefined
      ? bad(`must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}, not "${text}"`)
      : good(found)
  }

export const parseLogLevel = oneOf("debug", "info", "warn", "error")
export const parseBoolean = (text: string): Parsed<boolean> => {
  const parsed = oneOf("true", "false")(text)
  return parsed.ok ? good(parsed.value === "true") : parsed
}
export const parseAdmission = oneOf("open", "declared", "ticket")

export const parseLevel = (text: string): Parsed<Level> =>
  text === "encrypted" || text === "full"
    ? bad(`"${text}" is not enforced by this version; use "signed"`)
    : oneOf("open", "signed")(text)

/** `90`, `1500ms`, `2s`, `5m`, `1h`, `7d` as milliseconds; a bare number is seconds. */
export const parseDuration =
  (min: number, max: number) =>
  (text: string): Parsed<number> => {
    const value = durationMs(text)
    if (value === null)
      return bad(`"${text}" is not a duration; write seconds as a number, or a unit: 1500ms, 2s, 5m, 1h`)
    return value < min || value > max
      ? bad(`"${text}" is out of range; allowed are ${showDuration(min)} to ${showDuration(max)}`)
      : good(value)
  }

const bytes: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 * 1024 }

export const parseSize =
  (min: number, max: number) =>
  (text: string): Parsed<number> => {
    const match = /^(\d{1,12})(B|KiB|MiB)?$/.exec(text)
    if (match === null)
      return bad(`"${text}" is not a size; write bytes as a number, or with KiB or MiB: 1048576, 1MiB`)
    const value = Number(match[1]) * (bytes[match[2] ?? ""] ?? 1)
    return value < min || value > max
      ? bad(`"${text}" is out of range; allowed are ${min} to ${max} bytes`)
      : good(value)
  }

export const parseCount =
  (min: number, max: number) =>
  (text: string): Parsed<number> =>
    /^\d{1,6}$/.test(text) && Number(text) >= min && Number(text) <= max
      ? good(Number(text))
      : bad(`must be a number from ${min} to ${max}, not "${text}"`)

export interface Listen {
  readonly host: string
  readonly port: number
}

/** `host:port`, `[v6]:port`, `:port` (every address) or `port` (loopback). Port 0 takes a free one. */
export const parseListen = (text: string): Parsed<Listen> => {
  const match = /^(?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):)?(\d{1,5})$/.exec(text)
  const port = match === null ? Number.NaN : Number(match[2])
  if (match === null || port > 65535) return bad(`"${text}" is not an address; write host:port, e.g. 127.0.0.1:8443`)
  const host = match[1] === undefined ? "127.0.0.1" : match[1] === "" ? "0.0.0.0" : match[1].replace(/^\[|\]$/g, "")
  return match[1]?.startsWith("[") === true && isIP(host) !== 6
    ? bad(`"${text}" is not an address; IPv6 is written like [::1]:8443`)
    : good({ host, port })
}

/** True for an address that only this machine can reach. */
export const isLoopbackHost = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))

const url = (text: string, schemes: ReadonlyArray<string>, example: string): URL | string => {
  const parsed = URL.canParse(text) ? new URL(text) : null
  if (parsed === null) return `is not a URL; write something like ${example}`
  return schemes.includes(parsed.protocol)
    ? parsed
    : `must begin with ${schemes.map((s) => `${s}//`).join(" or ")}, e.g. ${example}`
}

/** The value is never repeated in a problem: it may hold a password. */
export const parsePostgresUrl = (text: string): Parsed<string> => {
  const parsed = url(text, ["postgres:", "postgresql:"], "postgres://user:password@host:5432/trails")
  if (typeof parsed === "string") return bad(parsed)
  return parsed.pathname.length > 1
    ? good(text)
    : bad("names no database; end it in one, e.g. postgres://user@host:5432/trails")
}

export interface NatsUrl {
  readonly servers: ReadonlyArray<{ readonly host: string; readonly port: number }>
  readonly tls: boolean
  readonly login: NatsLogin | null
}

const NATS_EXAMPLE = "nats://user:password@host:4222"
const NATS_PORT = 4222
const NATS_HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])$/

/** A user without a password is a token, as in every NATS client. */
const natsLogin = (server: URL): NatsLogin | null =>
  server.username === ""
    ? null
    : server.password === ""
      ? { token: decodeURIComponent(server.username) }
      : { user: decodeURIComponent(server.username), password: decodeURIComponent(server.password) }

/**
 * Servers separated by commas. One `tls://` among them asks for TLS on all, and a login in one is used for all. The value
 * is never repeated in a problem: it may hold a password.
 */
export const parseNatsUrl = (text: string): Parsed<NatsUrl> => {
  const parsed = text.split(",").map((part) => url(part.trim(), ["nats:", "tls:"], NATS_EXAMPLE))
  const servers: Array<URL> = []
  for (const server of parsed) {
    if (typeof server === "string") return bad(server)
    if (!NATS_HOST.test(server.hostname)) return bad(`names no host; write something like ${NATS_EXAMPLE}`)
    if (!/^\/?$/.test(server.pathname) || server.search !== "" || server.hash !== "")
      return bad(`must end after the host and port, e.g. ${NATS_EXAMPLE}`)
    if (server.username === "" && server.password !== "") return bad(`has a password without a user`)
    if (/%(?![0-9A-Fa-f]{2})/.test(server.username + server.password))
      return bad("has a % in its user or password that encodes nothing; write %25 for %")
    servers.push(server)
  }
  const logins = new Set(servers.map((server) => JSON.stringify(natsLogin(server))).filter((login) => login !== "null"))
  if (logins.size > 1) return bad("names different users; one login is used for all servers")
  return good({
    servers: servers.map(({ hostname, port }) => ({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port === "" ? NATS_PORT : Number(port)
    })),
    tls: servers.some(({ protocol }) => protocol === "tls:"),
    login: servers.map(natsLogin).find((login) => login !== null) ?? null
  })
}

/** Origin only, e.g. `https://trails.example.org`. */
export const parseHttpUrl = (text: string): Parsed<string> => {
  const parsed = url(text, ["https:", "http:"], "https://trails.example.org")
  if (typeof parsed === "string") return bad(`"${text}" ${parsed}`)
  if (parsed.username !== "" || parsed.password !== "") return bad("must not carry a user name or a password")
  return parsed.pathname === "/" && parsed.search === "" && parsed.hash === ""
    ? good(parsed.origin)
    : bad(`"${text}" must end after the host and port, e.g. ${parsed.origin}`)
}

/** Comma-separated origins. `*` is refused: it would let every web page in. */
export const parseOrigins = (text: string): Parsed<ReadonlyArray<string>> => {
  const origins: Array<string> = []
  for (const part of text
    .split(",")
    .map((p) => p.trim())
    .filter((p) => p !== "")) {
    const parsed = part === "*" ? bad(`"*" would let every web page in; list the origins`) : parseHttpUrl(part)
    if (!parsed.ok) return parsed
    origins.push(parsed.value)
  }
  return good(origins)
}

export const parsePath = (text: string): Parsed<string> =>
  text.includes("\0") ? bad("must not hold a NUL character") : good(text)

export const parseInstance = (text: string): Parsed<string> =>
  /^[\x20-\x7e]{1,128}$/.test(text) ? good(text) : bad("must be 1 to 128 printable ASCII characters")
