import { Context, Effect } from "effect"
import { Telemetry } from "../../Telemetry.ts"
import { jsonText } from "./JsonText.ts"
import { json, type Route } from "./Route.ts"

/** What keeps this replica from doing its work right now, in words for an operator; empty when nothing does. */
export class Readiness extends Context.Service<
  Readiness,
  {
    readonly problems: () => ReadonlyArray<string>
    /** What is out of order without keeping it from its work. */
    readonly notes: () => ReadonlyArray<string>
  }
>()("trails/transports/Readiness") {}

/** For probes and scrapers: no principal, no query, and nothing in them but figures and reasons. */
export const healthRoutes: Effect.Effect<ReadonlyArray<Route>, never, Readiness | Telemetry> = Effect.gen(function* () {
  const readiness = yield* Readiness
  const telemetry = yield* Telemetry
  const get = (path: string, handle: Route["handle"]): Route => ({
    method: "GET",
    path,
    access: "public",
    query: [],
    body: false,
    handle
  })
  return [
    get("/healthz", () => Effect.succeed(json('{"status":"ok"}'))),
    get("/readyz", () =>
      Effect.sync(() => {
        const problems = readiness.problems()
        const notes = readiness.notes()
        const more = notes.length === 0 ? {} : { notes }
        return problems.length === 0
          ? json(jsonText({ status: "ready", ...more }))
          : json(jsonText({ status: "not_ready", problems, ...more }), 503)
      })
    ),
    get("/metrics", () =>
      Effect.map(telemetry.render, (text) => ({
        status: 200,
        contentType: "text/plain; version=0.0.4; charset=utf-8",
        text
      }))
    )
  ]
})
