import { Clock, Effect } from "effect"
import { ServerKey } from "../../actors/ServerKey.ts"
import { Settings } from "../../Settings.ts"
import { jsonText } from "./JsonText.ts"
import { Problem } from "./Problem.ts"
import { endpointOf } from "./RootRoutes.ts"
import { json, type Route } from "./Route.ts"

/** `GET /api/v1/server`: whom one talks to, for anybody; of its secrets and its nodes it says as little as `hello`. */
export const serverRoutes = (version: string): Effect.Effect<ReadonlyArray<Route>, never, ServerKey | Settings> =>
  Effect.gen(function* () {
    const { publicKey } = yield* ServerKey
    const settings = yield* Settings
    const handle: Route["handle"] = Effect.fnUntraced(function* ({ authority }) {
      const endpoint = endpointOf(settings, authority)
      return json(
        jsonText({
          version,
          instance: settings.instance,
          level: settings.minLevel,
          admission: settings.admission,
          serverPubKey: publicKey,
          serverTime: yield* Clock.currentTimeMillis,
          endpoint: endpoint instanceof Problem ? null : endpoint,
          storage: settings.databaseUrl === null ? "embedded" : "postgres"
        })
      )
    })
    return [{ method: "GET", path: "/api/v1/server", access: "public", query: [], body: false, handle }]
  })
