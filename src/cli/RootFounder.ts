import type { RootAuthority } from "../run/RunIdentity.ts"
import { isLevel } from "../protocol/Level.ts"
import type { Api } from "./Api.ts"
import { CliError, EXIT } from "./CliError.ts"
import type { ServerPlace } from "./ServerPlace.ts"

const REQUEST_MS = 10_000

/** Founds the roots of runs at that server, with the administrator's key where it asks for one (PROTOCOL §4). */
export const rootFounder = (place: ServerPlace): RootAuthority => {
  let api: Api | null = null
  // Most runs need none of it: they are children of others, or of a server that has told its level.
  const reach = async () => {
    const [{ Api }, { notTrailsd }] = await Promise.all([import("./Api.ts"), import("./ApiProblem.ts")])
    api ??= new Api(place)
    return { api, notTrailsd }
  }
  return {
    describe: async () => {
      const { api, notTrailsd } = await reach()
      const { json } = await api.get("server", {}, { timeoutMs: REQUEST_MS })
      const { level, serverPubKey } = json as Readonly<Record<string, unknown>>
      if (!isLevel(level)) throw notTrailsd(place, "it does not tell its level")
      return { level, serverPubKey: typeof serverPubKey === "string" ? serverPubKey : null }
    },
    found: async ({ appId, appName, childKey, startDeadline, tags, traceparent }) => {
      const { api, notTrailsd } = await reach()
      const { json } = await api.post(
        "roots",
        {
          appId,
          appName,
          childKey,
          startDeadline,
          ...(tags === null ? {} : { tags }),
          ...(traceparent === null ? {} : { traceparent })
        },
        { timeoutMs: REQUEST_MS }
      )
      const { info } = json as Readonly<Record<string, unknown>>
      if (typeof info !== "string") throw notTrailsd(place, "it founds no roots")
      return info
    },
    isRetryable: (error) => error instanceof CliError && error.exitCode === EXIT.unavailable
  }
}
