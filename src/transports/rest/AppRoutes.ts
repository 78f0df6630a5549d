import { Effect } from "effect"
import type { NodeState } from "../../protocol/Frames.ts"
import type { Row } from "../../storage/Database.ts"
import { type AppFilter, NodeQueries } from "../../storage/NodeQueries.ts"
import { Waiters } from "../Waiters.ts"
import { jsonText, logText, pageText } from "./JsonText.ts"
import { badRequest, Problem } from "./Problem.ts"
import {
  json,
  noSuchNode,
  readInteger,
  readTimeout,
  readUuid,
  type Reply,
  type RestRequest,
  type Route,
  valid
} from "./Route.ts"

const STATES: ReadonlyArray<NodeState> = [
  "scheduled",
  "connected",
  "running",
  "done",
  "error",
  "crashed",
  "cancelled",
  "start_failed",
  "reconnecting",
  "lost_contact"
]

const LIMIT = { min: 1, max: 500, otherwise: 100 }

/** One row more than asked for tells whether there is a next page; its key is `next` of this one's last row. */
const page = (rows: ReadonlyArray<Row>, limit: number, key: string): Reply => {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1)?.[key] : undefined
  return json(pageText(shown.map(jsonText), typeof last === "string" || typeof last === "number" ? String(last) : null))
}

const readPage = (request: RestRequest, after: (text: string) => string | Problem) =>
  Effect.gen(function* () {
    const limit = yield* valid(readInteger(request.query.limit, "limit", LIMIT))
    return { limit, after: request.query.after === undefined ? null : yield* valid(after(request.query.after)) }
  })

const uuidCursor = (text: string) => readUuid(text, "after")

const idCursor = (text: string) => {
  const id = readInteger(text, "after", { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 })
  return id instanceof Problem ? id : String(id)
}

/** Where a UUID has dashes, a prefix may have them too. */
const dashed = (digits: string): string =>
  [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)]
    .filter((part) => part !== "")
    .join("-")

const readPrefix = (text: string): string | Problem => {
  const given = text.toLowerCase().replace(/-$/, "")
  const digits = given.replaceAll("-", "")
  return /^[0-9a-f]{4,32}$/.test(digits) && (given === digits || given === dashed(digits))
    ? digits
    : badRequest(
        "bad_parameter",
        "prefix must be the first 4 to 32 hexadecimal digits of an id, e.g. 0b9c8f3e or 0b9c8f3e-3f6e"
      )
}

const readFilter = (query: RestRequest["query"]): AppFilter | Problem => {
  const status = query.status === undefined ? undefined : STATES.find((state) => state === query.status)
  if (query.status !== undefined && status === undefined) {
    return badRequest("bad_parameter", `status must be one of ${STATES.join(", ")}`)
  }
  const parentId = query.parent === undefined ? undefined : readUuid(query.parent, "parent")
  if (parentId instanceof Problem) return parentId
  if (query.roots !== undefined && query.roots !== "true" && query.roots !== "false") {
    return badRequest("bad_parameter", "roots must be true or false")
  }
  if (query.roots === "true" && parentId !== undefined) {
    return badRequest("bad_parameter", "roots have no parent: give either roots=true or parent")
  }
  const prefix = query.prefix === undefined ? undefined : readPrefix(query.prefix)
  if (prefix instanceof Problem) return prefix
  if (query.order !== undefined && query.order !== "newest") {
    return badRequest("bad_parameter", "order must be newest; without it rows are in the order of their ids")
  }
  if (query.order === "newest" && query.roots !== "true") {
    return badRequest("bad_parameter", "order=newest goes with roots=true alone")
  }
  return {
    ...(prefix === undefined ? {} : { prefix }),
    ...(query.order === "newest" ? { newest: true } : {}),
    ...(status === undefined ? {} : { status }),
    ...(parentId === undefined ? {} : { parentId }),
    ...(query.roots === "true" ? { roots: true } : {}),
    ...(query.namespace === undefined ? {} : { namespace: query.namespace }),
    ...(query.name === undefined ? {} : { name: query.name })
  }
}

/** Nodes, their logs and crashes: rows of the views of PROTOCOL §12, columns named as there. */
export const appRoutes: Effect.Effect<ReadonlyArray<Route>, never, NodeQueries | Waiters> = Effect.gen(function* () {
  const queries = yield* NodeQueries
  const waiters = yield* Waiters

  const existing = Effect.fnUntraced(function* (request: RestRequest) {
    const appId = yield* valid(readUuid(request.params.id ?? "", "The id in the path"))
    const row = yield* queries.app(appId)
    return row === null ? yield* noSuchNode(appId) : { appId, row }
  })

  const get = (path: string, query: ReadonlyArray<string>, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    access: "read",
    ...(path.includes("/:id") ? { nodes: "path" as const } : {}),
    query,
    body: false,
    handle
  })

  return [
    get(
      "/api/v1/apps",
      ["status", "namespace", "parent", "roots", "name", "prefix", "order", "limit", "after"],
      Effect.fnUntraced(function* (request) {
        const filter = yield* valid(readFilter(request.query))
        const { limit, after } = yield* readPage(request, uuidCursor)
        return page(yield* queries.apps(filter, { limit: limit + 1, after }), limit, "app_id")
      })
    ),
    get("/api/v1/apps/:id", [], (request) => Effect.map(existing(request), ({ row }) => json(jsonText(row)))),
    get(
      "/api/v1/apps/:id/children",
      ["limit", "after"],
      Effect.fnUntraced(function* (request) {
        const { limit, after } = yield* readPage(request, uuidCursor)
        const { appId } = yield* existing(request)
        return page(yield* queries.children(appId, { limit: limit + 1, after }), limit, "app_id")
      })
    ),
    get(
      "/api/v1/apps/:id/log",
      ["limit", "after", "timeout"],
      Effect.fnUntraced(function* (request) {
        const ms = yield* valid(readTimeout(request.query.timeout, 0))
        const limit = yield* valid(readInteger(request.query.limit, "limit", LIMIT))
        const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 }
        const after = yield* valid(readInteger(request.query.after, "after", bounds))
        const { appId } = yield* existing(request)
        const look = Effect.map(queries.log(appId, after, limit), (found) => (found.length === 0 ? null : found))
        const rows = (yield* Effect.raceFirst(waiters.logged(appId, after, look, ms), request.gone)) ?? []
        // A page is bounded in bytes too: only an empty one is the end.
        return json(pageText(rows.map(logText), rows.at(-1)?.n ?? null))
      })
    ),
    get(
      "/api/v1/orphans",
      ["limit", "after"],
      Effect.fnUntraced(function* (request) {
        const { limit, after } = yield* readPage(request, uuidCursor)
        return page(yield* queries.orphans({ limit: limit + 1, after }), limit, "app_id")
      })
    ),
    get(
      "/api/v1/crashes",
      ["limit", "after"],
      Effect.fnUntraced(function* (request) {
        const { limit, after } = yield* readPage(request, idCursor)
        return page(yield* queries.crashes({ limit: limit + 1, after }), limit, "id")
      })
    )
  ]
})
