import { Effect } from "effect"
import type { ActorSystem } from "../../actors/ActorSystem.ts"
import { decodeEnvelope, isEnvelopeProblem } from "../../protocol/Envelope.ts"
import { parseUuid } from "../../protocol/Uuid.ts"
import { levelProblem } from "../OfferedLevel.ts"
import { makeIntent } from "./Intent.ts"
import { jsonText } from "./JsonText.ts"
import { readMembers } from "./Members.ts"
import { badRequest, levelRefused, Problem } from "./Problem.ts"
import { json, readUuid, type Route } from "./Route.ts"

/** Intents over REST: what the frame `declare` does, and its undoing (PROTOCOL §3, §7). */
export const childRoutes: Effect.Effect<ReadonlyArray<Route>, never, ActorSystem> = Effect.gen(function* () {
  const intent = yield* makeIntent
  return [
    {
      method: "POST",
      path: "/api/v1/children",
      access: "write",
      query: [],
      body: true,
      handle: Effect.fnUntraced(function* ({ body, principal }) {
        const members = yield* readMembers(body, ["info", "replaces"])
        if (typeof members.info !== "string") {
          return yield* badRequest(
            "bad_member",
            "info must be the child's envelope: the base64 text of its TRAILS_INFO"
          )
        }
        const envelope = decodeEnvelope(members.info)
        if (isEnvelopeProblem(envelope)) return yield* badRequest("bad_envelope", envelope.problem)
        const problem = levelProblem(envelope.secLevel)
        if (problem !== null) return yield* levelRefused(problem)
        if (envelope.parentId === null) {
          return yield* badRequest(
            "bad_envelope",
            "This envelope has no parentId; roots are made by POST /api/v1/roots"
          )
        }
        const given = members.replaces ?? null
        const replaces = typeof given === "string" ? parseUuid(given) : null
        if (given !== null && replaces === null)
          return yield* badRequest("bad_member", "replaces must be a node's UUID")
        const { info } = members
        const done = yield* intent(envelope.appId, (reply) => ({
          _tag: "Declare",
          envelope,
          info,
          replaces,
          by: { actor: principal.actor, nodeId: null },
          reply
        }))
        return json(
          jsonText({ appId: done.appId, parentId: envelope.parentId, created: done.created }),
          done.created ? 201 : 200
        )
      })
    },
    {
      method: "DELETE",
      path: "/api/v1/children/:id",
      access: "write",
      query: [],
      body: false,
      handle: Effect.fnUntraced(function* ({ params, principal }) {
        const appId = readUuid(params.id ?? "", "The id in the path")
        if (appId instanceof Problem) return yield* appId
        yield* intent(appId, (reply) => ({ _tag: "DeleteIntent", by: { actor: principal.actor, nodeId: null }, reply }))
        return json(jsonText({ appId, status: "cancelled" }))
      })
    }
  ]
})
