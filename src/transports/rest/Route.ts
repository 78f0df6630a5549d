import { Effect } from "effect"
import { durationMs } from "../../protocol/Duration.ts"
import { nearestName } from "../../protocol/NearestName.ts"
import { parseUuid } from "../../protocol/Uuid.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import type { Exchange } from "../WatchOutput.ts"
import { badRequest, notFound, Problem } from "./Problem.ts"

/** On whose behalf a request is made (PROTOCOL §9). */
export interface Principal {
  /** As the audit log names it: `admin`, `anonymous`, `node:<id>`. */
  readonly actor: string
  /** The nodes' key that it has: it may reach those to which it is bound and all below them. null: it may reach all. */
  readonly nodeKey: string | null
  /** Why it is believed, for the audit log. */
  readonly reason: string
}

export const ANONYMOUS: Principal = { actor: "anonymous", nodeKey: null, reason: "open on loopback" }
export const ADMIN: Principal = { actor: "admin", nodeKey: null, reason: "administrator's key" }

export interface RestRequest {
  readonly principal: Principal
  /** Values of the pattern's `:names`. */
  readonly params: Readonly<Record<string, string>>
  /** Only names that the route lists, each at most once. */
  readonly query: Readonly<Record<string, string>>
  /** The decoded JSON body of a route that takes one, else null. */
  readonly body: unknown
  /** The exact text of a member of the body, in which no number is rounded; null when there is no such member. */
  readonly slice: (name: string) => string | null
  /** `Host` as the client sent it, checked to be a host that may be used here. */
  readonly authority: string | null
  /** For who waits to race with: never succeeds, and is interrupted when the client goes away. */
  readonly gone: Effect.Effect<never>
  /** For who answers in his own way. */
  readonly exchange: Exchange
}

export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

/** null: the exchange is taken over, nothing is to be sent. */
export type Handler = (request: RestRequest) => Effect.Effect<Reply | null, Problem | StoreError>

/** One method of one path, as data: what is not listed here is refused before the handler sees it. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE"
  /** Segments; `:name` takes one segment. */
  readonly path: string
  /**
   * `public` needs no principal, all others do. `write` and `control` use a nonce up; a `write` is audited before it is
   * handled, a `control` by its handler, which knows what it is about.
   */
  readonly access: "public" | "read" | "write" | "control"
  /**
   * Whether a node's own key may be used: `path` for the node that `:id` names, checked before the handler sees it;
   * `handler`: it checks that. Absent: it may not.
   */
  readonly nodes?: "path" | "handler"
  readonly query: ReadonlyArray<string>
  readonly body: boolean
  readonly handle: Handler
}

export const json = (text: string, status = 200): Reply => ({ status, contentType: "application/json", text })

export type Match =
  | { readonly _tag: "Route"; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly _tag: "Refused"; readonly problem: Problem }

/** Finds the route; 404 with the nearest path, or 405 with the methods that there are. HEAD is answered like GET. */
export const matchRoute = (routes: ReadonlyArray<Route>, method: string, path: string): Match => {
  const segments = path.split("/")
  const here = routes.flatMap((route) => {
    const params = matchPath(route.path.split("/"), segments)
    return params === null ? [] : [{ route, params }]
  })
  const wanted = method === "HEAD" ? "GET" : method
  const found = here.find(({ route }) => route.method === wanted)
  if (found !== undefined) return { _tag: "Route", ...found }
  if (here.length === 0) {
    const near = nearestName(path, new Set(routes.map((route) => route.path)))
    const hint = near === null ? "The API is under /api/v1, e.g. GET /api/v1/apps" : `Did you mean ${near}?`
    return {
      _tag: "Refused",
      problem: new Problem({ status: 404, code: "not_found", detail: `There is nothing here. ${hint}` })
    }
  }
  const allow = [...new Set(here.flatMap(({ route }) => (route.method === "GET" ? ["GET", "HEAD"] : [route.method])))]
  return {
    _tag: "Refused",
    problem: new Problem({
      status: 405,
      code: "method_not_allowed",
      detail: `Only ${allow.join(" and ")} can be used here`,
      headers: { allow: allow.join(", ") }
    })
  }
}

const matchPath = (pattern: ReadonlyArray<string>, segments: ReadonlyArray<string>): Record<string, string> | null => {
  if (pattern.length !== segments.length) return null
  const params: Record<string, string> = {}
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? ""
    if (part.startsWith(":") ? segment === "" : part !== segment) return null
    if (part.startsWith(":")) params[part.slice(1)] = segment
  }
  return params
}

/** The query of `route` as a record; a name that is unknown or comes twice is refused. */
export const readQuery = (route: Route, search: URLSearchParams): Readonly<Record<string, string>> | Problem => {
  const query: Record<string, string> = {}
  for (const [name, value] of search) {
    if (!route.query.includes(name)) {
      const near = nearestName(name, route.query)
      const known = route.query.length === 0 ? "this path takes none" : `known are: ${route.query.join(", ")}`
      return badRequest(
        "unknown_parameter",
        `There is no query parameter "${name.slice(0, 64)}"; ${near === null ? known : `did you mean ${near}?`}`
      )
    }
    if (name in query) return badRequest("bad_parameter", `The query parameter ${name} may be given once`)
    query[name] = value
  }
  return query
}

/** A UUID in a path or a query, in canonical form. */
export const readUuid = (text: string, name: string): string | Problem =>
  parseUuid(text) ?? badRequest("bad_parameter", `${name} must be a UUID, e.g. 0b9c8f3e-3f6e-4a3b-9c55-0d6f3f1f2a77`)

/** An integer of the query within bounds, or what stands when it is not given. */
export const readInteger = (
  text: string | undefined,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly otherwise: number }
): number | Problem => {
  if (text === undefined) return bounds.otherwise
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return value >= bounds.min && value <= bounds.max
    ? value
    : badRequest("bad_parameter", `${name} must be a number from ${bounds.min} to ${bounds.max}`)
}

const MOST_WAIT_MS = 300_000

/** How long to wait, in milliseconds: `30`, `1500ms`, `5m`; 0 does not wait. */
export const readTimeout = (text: string | undefined, otherwise: number): number | Problem => {
  const ms = text === undefined ? otherwise : durationMs(text)
  return ms !== null && ms <= MOST_WAIT_MS
    ? ms
    : badRequest("bad_parameter", "timeout must be 0 to 300 seconds, as a number or with a unit: 30, 1500ms, 5m")
}

/** Fails with the problem when `value` is one. */
export const valid = <A>(value: A | Problem): Effect.Effect<A, Problem> =>
  value instanceof Problem ? Effect.fail(value) : Effect.succeed(value)

export const noSuchNode = (appId: string): Problem => notFound(`There is no node ${appId}; GET /api/v1/apps lists them`)
