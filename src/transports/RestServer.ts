import { type IncomingMessage, type RequestListener, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import { Cause, Effect, Exit, FiberSet, type Scope } from "effect"
import type { ActorSystem } from "../actors/ActorSystem.ts"
import type { ServerKey } from "../actors/ServerKey.ts"
import type { Settings } from "../Settings.ts"
import type { AuditLog } from "../storage/AuditLog.ts"
import type { CascadeStore } from "../storage/CascadeStore.ts"
import type { CommandStore } from "../storage/CommandStore.ts"
import type { KeyDirectory } from "../storage/KeyDirectory.ts"
import type { NodeQueries } from "../storage/NodeQueries.ts"
import { StoreError } from "../storage/StoreError.ts"
import type { TreeLog } from "../storage/TreeLog.ts"
import type { TreeQueries } from "../storage/TreeQueries.ts"
import type { Telemetry } from "../Telemetry.ts"
import type { AdminKey } from "./AdminKey.ts"
import { makeAccess } from "./rest/Access.ts"
import { makeAuthority } from "./rest/Authority.ts"
import { appRoutes } from "./rest/AppRoutes.ts"
import { cascadeRoutes } from "./rest/CascadeRoutes.ts"
import { childRoutes } from "./rest/ChildRoutes.ts"
import { controlRoutes } from "./rest/ControlRoutes.ts"
import { eventRoutes } from "./rest/EventRoutes.ts"
import { healthRoutes, type Readiness } from "./rest/HealthRoutes.ts"
import { badRequest, Problem, storeProblem } from "./rest/Problem.ts"
import { parseJson, readBody } from "./rest/RequestBody.ts"
import { rootRoutes } from "./rest/RootRoutes.ts"
import { ANONYMOUS, matchRoute, readQuery, readUuid, type Reply } from "./rest/Route.ts"
import { serverRoutes } from "./rest/ServerRoutes.ts"
import { treeRoutes } from "./rest/TreeRoutes.ts"
import { watchRoutes } from "./rest/WatchRoutes.ts"
import type { Waiters } from "./Waiters.ts"
import type { Watchers } from "./Watchers.ts"
import type { Exchange } from "./WatchOutput.ts"

export interface RestOptions {
  /** Makes the ids of new roots: UUID version 4. */
  readonly newId: () => string
  /** Of this program. */
  readonly version: string
}

type Requirements =
  | ActorSystem
  | AdminKey
  | AuditLog
  | CascadeStore
  | CommandStore
  | KeyDirectory
  | NodeQueries
  | Readiness
  | ServerKey
  | Settings
  | Telemetry
  | TreeLog
  | TreeQueries
  | Waiters
  | Watchers

export interface RestHandler {
  readonly onRequest: RequestListener
  /** A request that asks to become a WebSocket takes the same steps; what refuses it is answered as ever. */
  readonly onUpgrade: (request: IncomingMessage, stream: Duplex, head: Buffer) => void
}

/**
 * The REST API as listeners for `node:http`. Every request takes the same
 * steps: route, query, origin, principal, body, seal (signature over the body, nonce, audit), handler. Requests under way end
 * with the scope.
 */
export const makeRestHandler: (options: RestOptions) => Effect.Effect<RestHandler, never, Requirements | Scope.Scope> =
  Effect.fnUntraced(function* (options) {
    const access = yield* makeAccess
    const authority = yield* makeAuthority
    const routes = [
      ...(yield* healthRoutes),
      ...(yield* serverRoutes(options.version)),
      ...(yield* appRoutes),
      ...(yield* treeRoutes),
      ...(yield* rootRoutes(options.newId)),
      ...(yield* childRoutes),
      ...(yield* eventRoutes(authority)),
      ...(yield* watchRoutes(authority)),
      ...(yield* controlRoutes(options.newId, authority)),
      ...(yield* cascadeRoutes(options.newId, authority))
    ]

    const answer = Effect.fnUntraced(function* (
      exchange: Exchange
    ): Effect.fn.Return<Reply | null, Problem | StoreError> {
      const { request, response } = exchange
      const target = request.url ?? ""
      if (!target.startsWith("/") || target.includes("#")) {
        return yield* badRequest("bad_target", "The request line must name a path, e.g. GET /api/v1/apps")
      }
      const [path = "", ...search] = target.split("?")
      const match = matchRoute(routes, request.method ?? "", path)
      if (match._tag === "Refused") return yield* match.problem
      const { params, route } = match
      const query = readQuery(route, new URLSearchParams(search.join("?")))
      if (query instanceof Problem) return yield* query
      // A page that rebinds its own name to this address could read figures and reasons as well as rows. Only a probe by
      // HTTP/1.0 names no host at all; no browser leaves it out.
      if (route.access !== "public" || request.headers.host !== undefined) yield* access.guard(request)
      const common = { params, query, authority: request.headers.host ?? null, gone: goneOf(response), exchange }
      if (route.access === "public") return yield* route.handle({ ...common, ...NO_BODY, principal: ANONYMOUS })
      const { principal, seal } = yield* access.admit(request, route)
      const bytes = yield* readBody(request)
      if (!route.body && bytes.length > 0) {
        return yield* badRequest("unexpected_body", `${route.method} ${route.path} takes no body`)
      }
      const json = route.body ? yield* parseJson(request, bytes) : null
      yield* seal(bytes)
      if (route.nodes === "path" && principal.nodeKey !== null) {
        const appId = readUuid(params.id ?? "", "The id in the path")
        yield* appId instanceof Problem ? Effect.fail(appId) : authority.mayRead(principal, appId)
      }
      const given = json === null ? NO_BODY : { body: json.members, slice: json.slice }
      return yield* route.handle({ ...common, ...given, principal })
    })

    const serve = (exchange: Exchange): Effect.Effect<void> => {
      const { request, response } = exchange
      return Effect.exit(answer(exchange)).pipe(
        Effect.flatMap((exit) => {
          if (Exit.isSuccess(exit)) {
            return exit.value === null ? Effect.void : Effect.sync(() => sendReply(response, exit.value!))
          }
          const error = Cause.findErrorOption(exit.cause)
          if (error._tag === "None") {
            if (Cause.hasInterruptsOnly(exit.cause)) {
              return Effect.sync(() => sendProblem(request, response, stopping))
            }
            return Effect.andThen(
              Effect.logError("a REST request failed by a defect", exit.cause),
              Effect.sync(() => sendProblem(request, response, internal))
            )
          }
          const problem = error.value instanceof StoreError ? storeProblem(error.value) : error.value
          const send = Effect.sync(() => sendProblem(request, response, problem))
          return problem.status === 500
            ? Effect.andThen(Effect.logError("a REST request failed", error.value.message), send)
            : send
        })
      )
    }

    const fork = yield* FiberSet.makeRuntime<never>()
    return {
      onRequest: (request, response) => {
        fork(serve({ request, response, head: null }))
      },
      onUpgrade: (request, stream, head) => {
        fork(serve({ request, response: responseOn(request, stream), head }))
      }
    }
  })

/** Node gives no response to a request for an upgrade. */
const responseOn = (request: IncomingMessage, stream: Duplex): ServerResponse => {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(request.socket)
  response.once("finish", () => {
    stream.once("finish", () => stream.destroy())
    stream.end()
  })
  return response
}

const NO_BODY = { body: null, slice: () => null } as const

const goneOf = (response: ServerResponse): Effect.Effect<never> =>
  Effect.callback<never>((resume) => {
    const onClose = () => resume(Effect.interrupt)
    if (response.destroyed) onClose()
    else response.on("close", onClose)
    return Effect.sync(() => void response.off("close", onClose))
  })

const internal = new Problem({ status: 500, code: "internal", detail: "The request failed; the server's log says why" })

const stopping = new Problem({
  status: 503,
  code: "going_away",
  detail: "This server is stopping; try again in a moment",
  headers: { "retry-after": "1" }
})

/** Nothing of ours is for caches, frames, or guesses at its type. */
const COMMON = { "cache-control": "no-store", "x-content-type-options": "nosniff" }

const sendReply = (response: ServerResponse, { contentType, status, text }: Reply): void => {
  if (response.destroyed) return
  response.writeHead(status, { ...COMMON, "content-type": contentType, "content-length": Buffer.byteLength(text) })
  response.end(text)
}

const sendProblem = (request: IncomingMessage, response: ServerResponse, problem: Problem): void => {
  if (response.destroyed || response.headersSent) return
  const text = problem.json
  response.writeHead(problem.status, {
    ...COMMON,
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(text),
    // What was not read of a refused request is not read any more.
    ...(request.complete ? {} : { connection: "close" }),
    ...problem.headers
  })
  response.end(text)
}
