import { setTimeout as delay } from "node:timers/promises"
import type { AdminKeyFile } from "./AdminKeyFile.ts"
import { Backoff } from "../../src/client/Backoff.ts"
import { EXIT, LoadError, reasonOf } from "./LoadError.ts"

/** What `POST /api/v1/roots` answers, as far as it matters here. */
export interface RootTicket {
  readonly appId: string
  /** Value of TRAILS_INFO. */
  readonly info: string
  readonly serverPubKey: string
}

/** Calls in flight. */
const WIDTH = 16
const ATTEMPTS = 8
const CALL_MS = 30_000
/** Seconds: a root that does not register by then ends as `start_failed`. */
const START_DEADLINE = 3600

const endpointOf = (url: URL): string => `${url.protocol === "wss:" ? "https" : "http"}://${url.host}/api/v1/roots`

const isTicket = (value: unknown): value is RootTicket => {
  const { appId, info, serverPubKey } = (value ?? {}) as Readonly<Record<string, unknown>>
  return typeof appId === "string" && typeof info === "string" && typeof serverPubKey === "string"
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** One ticket, by whichever server answers; a server that is busy is asked again. */
const ask = async (
  urls: ReadonlyArray<URL>,
  first: number,
  key: AdminKeyFile,
  appName: string
): Promise<RootTicket> => {
  const body = new TextEncoder().encode(JSON.stringify({ appName, secLevel: "signed", startDeadline: START_DEADLINE }))
  const backoff = new Backoff(Math.random)
  let trouble = ""
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const url = endpointOf(urls[(first + attempt) % urls.length]!)
    let retryAfterMs = 0
    try {
      const headers = { "content-type": "application/json", ...key.post(url, body) }
      const signal = AbortSignal.timeout(CALL_MS)
      const response = await fetch(url, { method: "POST", headers, body, signal })
      const answer = parsed(await response.text())
      if (response.status === 201 && isTicket(answer)) return answer
      const { detail } = (answer ?? {}) as { readonly detail?: unknown }
      const said = `${response.status} ${typeof detail === "string" ? detail : response.statusText}`
      if (response.status !== 503) {
        const hint = response.status === 401 || response.status === 403 ? " Is --admin-key this server's key?" : ""
        throw new LoadError(1, `${url} refused a ticket: ${said}.${hint}`)
      }
      trouble = said
      retryAfterMs = Number(response.headers.get("retry-after") ?? 0) * 1000 || 0
    } catch (error) {
      if (error instanceof LoadError) throw error
      trouble = reasonOf(error)
    }
    await delay(backoff.next(retryAfterMs))
  }
  throw new LoadError(EXIT.unavailable, `No server gave a ticket at ${urls.map(endpointOf).join(", ")}: ${trouble}`)
}

/**
 * Birth certificates for the roots of these names of level `signed` (PROTOCOL §4, §5), a bounded number of calls at a time. Each is
 * a birth of its own on the server: some hundred per second. Not all of them when `stop` says so.
 */
export const askForRoots = async (
  urls: ReadonlyArray<URL>,
  key: AdminKeyFile,
  names: ReadonlyArray<string>,
  stop: AbortSignal,
  onProgress: (done: number) => void
): Promise<ReadonlyArray<RootTicket>> => {
  const tickets: Array<RootTicket> = []
  let next = 0
  let hasFailed = false
  const worker = async () => {
    while (next < names.length && !hasFailed && !stop.aborted) {
      const i = next++
      tickets[i] = await ask(urls, i, key, names[i]!)
      onProgress(tickets.length)
    }
  }
  try {
    await Promise.all(Array.from({ length: WIDTH }, worker))
  } catch (error) {
    hasFailed = true
    throw error
  }
  const servers = new Set(tickets.map(({ serverPubKey }) => serverPubKey))
  if (servers.size > 1)
    throw new LoadError(1, "These URLs are of servers with different keys: they are not one deployment.")
  return tickets
}
