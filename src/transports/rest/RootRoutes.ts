import { Clock, Effect } from "effect"
import { sign } from "../../actors/Ed25519.ts"
import type { ActorSystem } from "../../actors/ActorSystem.ts"
import { ServerKey } from "../../actors/ServerKey.ts"
import {
  decodeEnvelope,
  encodeEnvelope,
  encodeInfo,
  type EnvelopeFields,
  isEnvelopeProblem
} from "../../protocol/Envelope.ts"
import { isLevel, isWeaker } from "../../protocol/Level.ts"
import { attachMember, TAGS } from "../../protocol/SignedFrame.ts"
import { Settings, type SettingsShape } from "../../Settings.ts"
import { levelProblem } from "../OfferedLevel.ts"
import { makeIntent } from "./Intent.ts"
import { jsonText } from "./JsonText.ts"
import { readMembers } from "./Members.ts"
import { badRequest, levelRefused, Problem } from "./Problem.ts"
import { json, type Route } from "./Route.ts"

const MEMBERS = [
  "appName",
  "namespace",
  "tags",
  "startDeadline",
  "secLevel",
  "childKey",
  "originator",
  "supervision",
  "traceparent"
] as const

/** Where clients connect: TRAILS_PUBLIC_URL, else the name that the caller itself used, which works at least there. */
export const endpointOf = (
  settings: Pick<SettingsShape, "publicUrl" | "tls">,
  authority: string | null
): string | Problem => {
  const base =
    settings.publicUrl ?? (authority === null ? null : `${settings.tls === null ? "http" : "https"}://${authority}`)
  return base === null
    ? badRequest(
        "no_endpoint",
        "The server does not know the address that clients reach it by: set TRAILS_PUBLIC_URL, or call it by an address of its own"
      )
    : `${base.replace(/^http/, "ws")}/ws`
}

/**
 * `POST /api/v1/roots`: the birth certificate of a root, signed with the server's key (PROTOCOL §4, §5), and its intent,
 * so that it is seen as `scheduled` from now on and as `never_started` when nobody starts it.
 */
export const rootRoutes = (
  newId: () => string
): Effect.Effect<ReadonlyArray<Route>, never, ActorSystem | ServerKey | Settings> =>
  Effect.gen(function* () {
    const intent = yield* makeIntent
    const serverKey = yield* ServerKey
    const settings = yield* Settings

    const handle: Route["handle"] = Effect.fnUntraced(function* ({ authority, body, principal }) {
      const members = yield* readMembers(body, MEMBERS)
      const level = members.secLevel ?? settings.minLevel
      if (!isLevel(level)) return yield* badRequest("bad_member", "secLevel must be open, signed, encrypted or full")
      if (isWeaker(level, settings.minLevel)) {
        return yield* levelRefused(
          `This server takes no node below ${settings.minLevel}; leave secLevel out or raise it`
        )
      }
      const problem = levelProblem(level)
      if (problem !== null) return yield* levelRefused(problem)
      const serverEp = endpointOf(settings, authority)
      if (serverEp instanceof Problem) return yield* serverEp
      const { secLevel: _, ...given } = members
      const startDeadline = members.startDeadline ?? settings.defaultStartDeadline
      const scheduledAt = yield* Clock.currentTimeMillis
      const unsigned = encodeEnvelope({
        ...given,
        appId: newId(),
        parentId: null,
        serverEp,
        serverPubKey: serverKey.publicKey,
        secLevel: level,
        scheduledAt,
        startDeadline
        // What the caller gave is checked by decoding the whole, by the one decoder of envelopes.
      } as EnvelopeFields)
      const info = encodeInfo(attachMember(unsigned, "ticket", sign(serverKey.secret, TAGS.ticket, unsigned)))
      const envelope = decodeEnvelope(info)
      if (isEnvelopeProblem(envelope))
        return yield* badRequest("bad_member", envelope.problem.replace(/^TRAILS_INFO: /, ""))
      yield* intent(envelope.appId, (reply) => ({
        _tag: "Declare",
        envelope,
        info,
        replaces: null,
        by: { actor: principal.actor, nodeId: null },
        reply
      }))
      return json(
        jsonText({
          appId: envelope.appId,
          appName: envelope.appName,
          info,
          serverEp,
          serverPubKey: serverKey.publicKey,
          secLevel: level,
          startBy:
            envelope.startDeadline === 0 ? null : new Date(scheduledAt + envelope.startDeadline * 1000).toISOString()
        }),
        201
      )
    })
    return [{ method: "POST", path: "/api/v1/roots", access: "write", query: [], body: true, handle }]
  })
