import type { SettingsShape } from "../Settings.ts"

/** The part of a request that the rules below look at; `http.IncomingMessage` is one. */
export interface OriginRequest {
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  /** Names and values in turn, as received: `headers` keeps the first of several Hosts only. */
  readonly rawHeaders?: ReadonlyArray<string>
  readonly socket: { readonly remoteAddress?: string | undefined }
}

type OriginSettings = Pick<SettingsShape, "loopback" | "publicUrl" | "allowedOrigins">

export interface OriginProblem {
  readonly status: 403 | 421
  readonly message: string
}

const FORWARDING =
  /^(?:x-forwarded-.*|forwarded|via|x-real-ip|x-client-ip|x-original-host|x-envoy-external-address|cf-connecting-ip|true-client-ip)$/

/** Whether a proxy says that it stands in between. */
const isForwarded = (request: OriginRequest): boolean => {
  for (const name in request.headers) if (FORWARDING.test(name)) return true
  return false
}

/** Whether the request comes through a proxy, or from a page of another site, as far as its headers tell. */
export const isIndirect = (request: OriginRequest): boolean =>
  isForwarded(request) || request.headers["sec-fetch-site"] === "cross-site"

/** 127.0.0.0/8, ::1 and the former mapped into IPv6, as `socket.remoteAddress` writes them. */
export const isLoopbackAddress = (address: string | undefined): boolean =>
  address !== undefined && /^(?:::1|(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/.test(address)

/** The host of a `Host` header without its port, in lower case; null when it is not a host. */
const hostName = (header: string): string | null => {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/.exec(header.toLowerCase())
  return match === null ? null : match[1]!.replace(/^\[|\]$|\.$/g, "")
}

const isLoopbackName = (name: string): boolean =>
  name === "localhost" || name.endsWith(".localhost") || isLoopbackAddress(name)

const isPublicName = (name: string, publicUrl: string | null): boolean =>
  publicUrl !== null && new URL(publicUrl).hostname.replace(/^\[|\]$/g, "") === name

/** What two Hosts mean is each reader's own choice, a proxy's before us among them. */
const hasSeveralHosts = ({ rawHeaders = [] }: OriginRequest): boolean => {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]!.toLowerCase() === "host") hosts++
  return hosts > 1
}

const single = (header: string | ReadonlyArray<string> | undefined): string | null =>
  typeof header === "string" ? header : null

/**
 * The browser rules of PROTOCOL §4, for the upgrade and for REST. On a loopback listener `Host` must be a loopback name
 * or that of TRAILS_PUBLIC_URL: a page that rebinds its own name to 127.0.0.1 is refused. `Origin`, which every browser
 * sends with an upgrade, must be on the allow list; other clients send none.
 */
export const originProblem = (request: OriginRequest, settings: OriginSettings): OriginProblem | null => {
  const host = hasSeveralHosts(request) ? null : single(request.headers.host)
  const name = host === null ? null : hostName(host)
  if (name === null) return { status: 421, message: "the request needs one valid Host header, and only one" }
  if (settings.loopback && !isLoopbackName(name) && !isPublicName(name, settings.publicUrl)) {
    return {
      status: 421,
      message: "this listener answers to loopback names only; set TRAILS_PUBLIC_URL to the name that clients use"
    }
  }
  if (request.headers.origin === undefined) return null
  const origin = single(request.headers.origin)?.toLowerCase()
  return settings.allowedOrigins.some((allowed) => allowed.toLowerCase() === origin)
    ? null
    : {
        status: 403,
        message: "this Origin is not allowed; add it to TRAILS_ALLOWED_ORIGINS if its pages may use this server"
      }
}

/**
 * Whether the loopback privileges of `open` hold (PROTOCOL §4, §9): the listener is bound to loopback, the peer is on
 * this machine, and neither a proxy nor a foreign page stands in between.
 */
export const isTrustedLoopback = (request: OriginRequest, settings: OriginSettings): boolean =>
  settings.loopback &&
  isLoopbackAddress(request.socket.remoteAddress) &&
  !isIndirect(request) &&
  originProblem(request, settings) === null
