import { usageError } from "./CliError.ts"

/** One server, by both of its addresses. */
export interface Endpoint {
  /** WebSocket URL, e.g. `ws://127.0.0.1:8443/ws`. */
  readonly endpoint: string
  /** Base of the REST API without a closing slash, e.g. `http://127.0.0.1:8443`. */
  readonly url: string
}

const EXAMPLES = "Write ws://host:8443/ws, http://host:8443 or host:8443."
const SCHEMES: Readonly<Record<string, readonly [socket: string, http: string]>> = {
  "ws:": ["ws:", "http:"],
  "http:": ["ws:", "http:"],
  "wss:": ["wss:", "https:"],
  "https:": ["wss:", "https:"]
}
const DEFAULT_PORT = "8443"

/** `source` says in messages where the text was found. A text without a scheme is `ws:`, and its port 8443 by default. */
export const parseEndpoint = (text: string, source: string): Endpoint => {
  const trimmed = text.trim()
  const bare = !/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)
  const whole = bare ? `ws://${trimmed}` : trimmed
  // The text is not repeated: it may hold a password.
  if (trimmed === "" || !URL.canParse(whole)) throw usageError(`${source} is not the address of a server.`, EXAMPLES)
  const url = new URL(whole)
  const schemes = SCHEMES[url.protocol]
  if (schemes === undefined)
    throw usageError(
      `${source} names a server by ${url.protocol}//, which the command line does not speak.`,
      `${EXAMPLES} The same trailsd answers HTTP on its listener.`
    )
  if (url.username !== "" || url.password !== "")
    throw usageError(`${source} holds a user or password; trailsd takes neither in its address.`, EXAMPLES)
  if (url.search !== "" || url.hash !== "") throw usageError(`${source} holds more than an address.`, EXAMPLES)
  if (bare && !/:\d+(?:\/|$)/.test(trimmed)) url.port = DEFAULT_PORT
  const path = url.pathname.replace(/\/+$/, "").replace(/\/ws$/, "")
  return { endpoint: `${schemes[0]}//${url.host}${path}/ws`, url: `${schemes[1]}//${url.host}${path}` }
}

/** Whether the address can only be of this machine. */
export const isLoopback = (url: string): boolean =>
  /^(?:127(?:\.\d+){3}|localhost|\[::1\])$/.test(new URL(url).hostname)

/** With the scheme's own port where the address names none. */
export const portOf = (url: string): string => {
  const { port, protocol } = new URL(url)
  return port === "" ? (protocol === "https:" || protocol === "wss:" ? "443" : "80") : port
}
