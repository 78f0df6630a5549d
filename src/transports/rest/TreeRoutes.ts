import { Effect } from "effect"
import { TREE_DEPTH } from "../../protocol/Limits.ts"
import { TreeQueries } from "../../storage/TreeQueries.ts"
import { parseCursor } from "../TreeCursor.ts"
import { Waiters } from "../Waiters.ts"
import { badRequest, type Problem } from "./Problem.ts"
import { json, noSuchNode, readInteger, readTimeout, readUuid, type RestRequest, type Route, valid } from "./Route.ts"
import { standingText, treeText, unchangedText } from "./TreeText.ts"

const DEPTH = { min: 0, max: TREE_DEPTH, otherwise: TREE_DEPTH }
const LIMIT = { min: 1, max: 10_000, otherwise: 1000 }
const WAIT_MS = 30_000

const readCursor = (text: string | undefined): number | null | Problem => {
  if (text === undefined) return null
  return parseCursor(text) ?? foreign
}

const foreign = badRequest(
  "bad_parameter",
  "after is no cursor of this server's log: ask without after for the whole tree"
)

/** Whole trees and the ends of nodes, at once or as soon as there is something to tell. */
export const treeRoutes: Effect.Effect<ReadonlyArray<Route>, never, TreeQueries | Waiters> = Effect.gen(function* () {
  const queries = yield* TreeQueries
  const waiters = yield* Waiters

  const wait = Effect.fnUntraced(function* ({ gone, params, query }: RestRequest) {
    const appId = yield* valid(readUuid(params.id ?? "", "The id in the path"))
    const ms = yield* valid(readTimeout(query.timeout, WAIT_MS))
    const standing = yield* Effect.raceFirst(waiters.ended(appId, ms), gone)
    return standing === null ? yield* noSuchNode(appId) : json(standingText(standing))
  })

  const tree = Effect.fnUntraced(function* ({ gone, params, query }: RestRequest) {
    const appId = yield* valid(readUuid(params.id ?? "", "The id in the path"))
    const depth = yield* valid(readInteger(query.depth, "depth", DEPTH))
    const limit = yield* valid(readInteger(query.limit, "limit", LIMIT))
    const after = yield* valid(readCursor(query.after))
    const ms = yield* valid(readTimeout(query.timeout, 0))
    if (after === null && query.timeout !== undefined) {
      return yield* badRequest("bad_parameter", "timeout goes with after, the cursor of the tree that you have")
    }
    if (after !== null) {
      const stir = yield* Effect.raceFirst(waiters.stirred(appId, after, ms), gone)
      if (stir === null) return yield* noSuchNode(appId)
      if (stir.foreign) return yield* foreign
      if (!stir.stirred) return json(unchangedText(after))
    }
    const view = yield* queries.tree(appId, { depth, limit })
    return view === null ? yield* noSuchNode(appId) : json(treeText(view))
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
    get("/api/v1/apps/:id/wait", ["timeout"], wait),
    get("/api/v1/apps/:id/tree", ["depth", "limit", "after", "timeout"], tree)
  ]
})
