import { Clock, Effect } from "effect"
import type { ActorSystem } from "../../actors/ActorSystem.ts"
import { sign } from "../../actors/Ed25519.ts"
import { isFinal } from "../../protocol/Final.ts"
import { ServerKey } from "../../actors/ServerKey.ts"
import {
  decodeEnvelope,
  encodeEnvelope,
  encodeInfo,
  type Envelope,
  type EnvelopeFields,
  isEnvelopeProblem
} from "../../protocol/Envelope.ts"
import type { Level } from "../../protocol/Frames.ts"
import { isLevel, isWeaker } from "../../protocol/Level.ts"
import { attachMember, TAGS } from "../../protocol/SignedFrame.ts"
import { parseUuid } from "../../protocol/Uuid.ts"
import { Settings, type SettingsShape } from "../../Settings.ts"
import { NodeQueries } from "../../storage/NodeQueries.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { levelProblem } from "../OfferedLevel.ts"
import { makeIntent } from "./Intent.ts"
import { jsonText } from "./JsonText.ts"
import { readMembers } from "./Members.ts"
import { badRequest, levelRefused, Problem } from "./Problem.ts"
import { json, type Route } from "./Route.ts"

const MEMBERS = [
  "appId",
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

type Members = Readonly<Partial<Record<(typeof MEMBERS)[number], unknown>>>

interface Root {
  readonly envelope: Envelope
  /** base64, with the ticket. */
  readonly info: string
}

/** What the answer to one and the same request may differ in. */
type Moment = Pick<EnvelopeFields, "serverEp" | "scheduledAt"> & { readonly startDeadline: number }

const readId = (given: unknown): string | null => (typeof given === "string" ? parseUuid(given) : null)

const exists = (appId: string, why: string): Problem =>
  new Problem({
    status: 409,
    code: "exists",
    detail: `The id ${appId} is taken: ${why}. Choose a fresh UUID, or leave appId out`
  })

/**
 * `POST /api/v1/roots`: the birth certificate of a root, signed with the server's key (PROTOCOL §4, §5), and its intent,
 * so that it is seen as `scheduled` from now on and as `never_started` when nobody starts it.
 */
export const rootRoutes = (
  newId: () => string
): Effect.Effect<ReadonlyArray<Route>, never, ActorSystem | NodeQueries | ServerKey | Settings> =>
  Effect.gen(function* () {
    const intent = yield* makeIntent
    const queries = yield* NodeQueries
    const serverKey = yield* ServerKey
    const settings = yield* Settings

    /** Deterministic, the order of the members too: the same at the same moment is the same text, ticket included. */
    const certify = (appId: string, level: Level, members: Members, moment: Moment): Root | Problem => {
      const given = MEMBERS.map((name) => [name, members[name]] as const)
      const unsigned = encodeEnvelope({
        ...Object.fromEntries(given),
        appId,
        parentId: null,
        serverPubKey: serverKey.publicKey,
        secLevel: level,
        serverEp: moment.serverEp,
        scheduledAt: moment.scheduledAt,
        startDeadline: moment.startDeadline
        // What the caller gave is checked by decoding the whole, by the one decoder of envelopes.
      } as unknown as EnvelopeFields)
      const info = encodeInfo(attachMember(unsigned, "ticket", sign(serverKey.secret, TAGS.ticket, unsigned)))
      const envelope = decodeEnvelope(info)
      return isEnvelopeProblem(envelope)
        ? badRequest("bad_member", envelope.problem.replace(/^TRAILS_INFO: /, ""))
        : { envelope, info }
    }

    /**
     * The id is there already: the caller's own request whose answer was lost gets the stored envelope, whose ticket is
     * the one that registers; any other is refused.
     */
    const repeated = Effect.fnUntraced(function* (
      { envelope: { appId, secLevel } }: Root,
      members: Members
    ): Effect.fn.Return<Root | null, Problem | StoreError> {
      const birth = yield* queries.birth(appId)
      if (birth === null) return null
      const info = birth.envelope === null ? null : encodeInfo(birth.envelope)
      const stored = info === null ? null : decodeEnvelope(info)
      if (stored === null || isEnvelopeProblem(stored)) return yield* exists(appId, "that node was not made here")
      const { scheduledAt, serverEp } = stored
      const startDeadline = (members.startDeadline as number | undefined) ?? stored.startDeadline
      const again = certify(appId, secLevel, members, { scheduledAt, serverEp, startDeadline })
      if (again instanceof Problem || again.info !== info) return yield* exists(appId, "that node is another one")
      if (isFinal(birth.status)) return yield* exists(appId, `that node has ended as ${birth.status}`)
      return again
    })

    const handle: Route["handle"] = Effect.fnUntraced(function* ({ authority, body, principal }) {
      const members = yield* readMembers(body, MEMBERS)
      const appId = members.appId === undefined ? newId() : readId(members.appId)
      if (appId === null) return yield* badRequest("bad_member", "appId must be a UUID, made for this root alone")
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
      const startDeadline = (members.startDeadline as number | undefined) ?? settings.defaultStartDeadline
      const scheduledAt = yield* Clock.currentTimeMillis
      const root = certify(appId, level, members, { serverEp, scheduledAt, startDeadline })
      if (root instanceof Problem) return yield* root
      const declared = intent(appId, (reply) => ({
        _tag: "Declare",
        ...root,
        replaces: null,
        by: { actor: principal.actor, nodeId: null },
        reply
      }))
      const made =
        members.appId === undefined
          ? Effect.map(declared, ({ created }) => ({ ...root, created }))
          : Effect.matchEffect(declared, {
              onSuccess: ({ created }) => Effect.succeed({ ...root, created }),
              onFailure: (refusal) =>
                refusal.code === "registration_failed"
                  ? Effect.flatMap(repeated(root, members), (stored) =>
                      stored === null ? Effect.fail(refusal) : Effect.succeed({ ...stored, created: false })
                    )
                  : Effect.fail(refusal)
            })
      const { created, envelope, info } = yield* made
      return json(
        jsonText({
          appId,
          appName: envelope.appName,
          info,
          serverEp: envelope.serverEp,
          serverPubKey: serverKey.publicKey,
          secLevel: level,
          startBy:
            envelope.startDeadline === 0
              ? null
              : new Date(envelope.scheduledAt + envelope.startDeadline * 1000).toISOString(),
          created
        }),
        created ? 201 : 200
      )
    })
    return [{ method: "POST", path: "/api/v1/roots", access: "write", query: [], body: true, handle }]
  })
