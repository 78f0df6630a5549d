import { Effect } from "effect"
import type { TreeLog } from "../../storage/TreeLog.ts"
import type { TreeQueries } from "../../storage/TreeQueries.ts"
import { Watchers } from "../Watchers.ts"
import type { Authority } from "./Authority.ts"
import { makeEventQuery } from "./EventQuery.ts"
import type { Reply, RestRequest, Route } from "./Route.ts"

export const WATCH_PATH = "/api/v1/watch"

const NOW = "now"
/** What HEAD is told. */
const HEAD: Reply = { status: 200, contentType: "text/event-stream", text: "" }

/**
 * `GET events` as a stream: what has happened behind a cursor, and then what happens. As Server-Sent Events, or over a
 * WebSocket where the request asks for one.
 */
export const watchRoutes = (
  authority: Authority
): Effect.Effect<ReadonlyArray<Route>, never, TreeLog | TreeQueries | Watchers> =>
  Effect.gen(function* () {
    const watchers = yield* Watchers
    const readQuery = yield* makeEventQuery(authority)

    const handle = Effect.fnUntraced(function* ({ exchange, principal, query }: RestRequest) {
      const { headers, method } = exchange.request
      // A browser that comes again by itself sends the URL of the first time, and says here how far it got.
      const last = headers["last-event-id"]
      const [cursor, cursorName] =
        typeof last === "string" ? [last, "Last-Event-ID"] : [query.from === NOW ? undefined : query.from, "from"]
      const { app, kind, scope } = query
      const { after, subject } = yield* readQuery(principal, { app, kind, scope, cursor, cursorName })
      if (method === "HEAD") return HEAD
      yield* watchers.open(subject, after, exchange)
      return null
    })

    return [
      {
        method: "GET",
        path: WATCH_PATH,
        access: "read",
        nodes: "handler",
        query: ["app", "scope", "kind", "from"],
        body: false,
        handle
      }
    ]
  })
