import { Cache, Effect } from "effect"
import {
  CASCADE_OUTCOMES,
  type CascadeNode,
  type CascadeOutcome,
  type CascadePlace,
  type CascadeRow,
  CascadeStore,
  type NewCascade,
  OPEN_CASCADES
} from "../../storage/CascadeStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { Waiters } from "../Waiters.ts"
import type { Authority, Deed } from "./Authority.ts"
import { cascadeNodeText, cascadeText } from "./CascadeText.ts"
import { readAction, readKey, readNumber, readTrace } from "./ControlMembers.ts"
import { pageText } from "./JsonText.ts"
import { readMembers } from "./Members.ts"
import { badRequest, notFound, Problem, tryLater, uncertain } from "./Problem.ts"
import { json, noSuchNode, readInteger, readTimeout, readUuid, type RestRequest, type Route, valid } from "./Route.ts"

const LIMIT = { min: 1, max: 500, otherwise: 100 }
const GRACE = { min: 0, max: 3_600_000, otherwise: 10_000 }
const DEADLINE = { min: 1, max: 24 * 3_600_000, otherwise: 0 }
const REASON_BYTES = 1024
const FILTER_BYTES = 16 * 1024
/** How old what those see may be who wait for an operation, milliseconds: all of them together cost one look in that time. */
const FRESH_MS = 200

const MEMBERS = [
  "reason",
  "graceMs",
  "deadlineMs",
  "filter",
  "dryRun",
  "action",
  "payload",
  "idempotencyKey",
  "traceparent"
] as const

const readReason = (given: unknown): string | Problem =>
  given === undefined
    ? "cancelled"
    : typeof given === "string" && given !== "" && Buffer.byteLength(given) <= REASON_BYTES
      ? given
      : badRequest("bad_member", `reason must be a text of 1 to ${REASON_BYTES} bytes`)

const readFilter = (given: unknown): NewCascade["filter"] | Problem =>
  given === undefined || given === null
    ? null
    : typeof given === "object" && !Array.isArray(given) && JSON.stringify(given).length <= FILTER_BYTES
      ? (given as NewCascade["filter"])
      : badRequest(
          "bad_member",
          'filter must be an object of tags that nodes have, e.g. {"device_type": "gas_detector"}'
        )

const readFlag = (given: unknown, name: string): boolean | Problem =>
  given === undefined
    ? false
    : typeof given === "boolean"
      ? given
      : badRequest("bad_member", `${name} must be true or false`)

const readOutcome = (text: string | undefined): CascadeOutcome | null | Problem =>
  text === undefined
    ? null
    : (CASCADE_OUTCOMES.find((outcome) => outcome === text) ??
      badRequest("bad_parameter", `outcome must be one of ${CASCADE_OUTCOMES.join(", ")}`))

/** `<depth>:<id>`, as `next` gives it. */
const readPlace = (text: string | undefined): CascadePlace | null | Problem => {
  if (text === undefined) return null
  const match = /^(\d{1,2}):(.+)$/.exec(text)
  const appId = match === null ? null : readUuid(match[2] ?? "", "after")
  return typeof appId === "string"
    ? { depth: Number(match?.[1]), appId }
    : badRequest("bad_parameter", "after must be the `next` of the page before")
}

const deedOf = ({ action, appId }: Pick<NewCascade, "action" | "appId">, id: string): Deed => ({
  appId,
  action: action === "cancel" ? "cancel" : `cascade ${action}`,
  correlationId: id
})

const placeOf = ({ appId, depth }: CascadeNode): string => `${depth}:${appId}`

/**
 * Operations on trees (PROTOCOL §8): a plan that the runner carries out, whoever asks or goes away. What is answered is
 * where it stands.
 */
export const cascadeRoutes = (
  newId: () => string,
  authority: Authority
): Effect.Effect<ReadonlyArray<Route>, never, CascadeStore | Waiters> =>
  Effect.gen(function* () {
    const store = yield* CascadeStore
    const waiters = yield* Waiters
    const recent = yield* Cache.make({
      capacity: 1000,
      timeToLive: FRESH_MS,
      lookup: (id: string) => store.read(id)
    })

    const existing = Effect.fnUntraced(function* (id: string) {
      const row = yield* store.read(id)
      return row === null ? yield* notFound(`There is no operation ${id}; GET /api/v1/cascades lists them`) : row
    })

    const begin = Effect.fnUntraced(function* ({ body, params, principal, query, slice }: RestRequest) {
      const appId = yield* valid(readUuid(params.id ?? "", "The id in the path"))
      const whole = query.cascade
      if (whole !== undefined && whole !== "true" && whole !== "false") {
        return yield* badRequest("bad_parameter", "cascade must be true, or false for the node alone")
      }
      const members = yield* readMembers(body, MEMBERS)
      const isCancel = members.action === undefined || members.action === "cancel"
      const action = isCancel ? "cancel" : yield* valid(readAction(members.action))
      if (members.payload !== undefined && isCancel) {
        return yield* badRequest("bad_member", "payload goes with an action; a cancel has reason and graceMs")
      }
      const isDryRun = yield* valid(readFlag(members.dryRun, "dryRun"))
      const deadlineMs =
        members.deadlineMs === undefined ? null : yield* valid(readNumber(members.deadlineMs, "deadlineMs", DEADLINE))
      const id = newId()
      const cascade = {
        id,
        appId,
        action,
        payload: slice("payload") ?? "null",
        scope: whole === "true" ? "tree" : "node",
        origin: null,
        reason: yield* valid(readReason(members.reason)),
        graceMs: yield* valid(readNumber(members.graceMs, "graceMs", GRACE)),
        deadlineMs,
        filter: yield* valid(readFilter(members.filter)),
        idempotencyKey: yield* valid(readKey(members.idempotencyKey)),
        traceparent: yield* valid(readTrace(members.traceparent))
      } as const
      if (isDryRun) {
        const deed = deedOf(cascade, id)
        const issuedBy = yield* authority.authorize(principal, { ...deed, action: `${deed.action} (dry run)` })
        const plan = yield* store.preview({ ...cascade, issuedBy })
        return plan === null ? yield* noSuchNode(appId) : json(cascadeText(plan))
      }
      const issuedBy = yield* authority.authorize(principal, deedOf(cascade, id))
      const unsure = (error: StoreError) =>
        cascade.idempotencyKey === null ? uncertain(error, `/api/v1/cascades?app=${appId}`) : error
      const begun = yield* Effect.mapError(store.begin({ ...cascade, issuedBy }), unsure)
      if (begun === null) return yield* noSuchNode(appId)
      if (begun._tag === "Conflict") {
        return yield* new Problem({
          status: 409,
          code: "conflict",
          detail: "This idempotencyKey was used for another operation about this node; use a fresh one"
        })
      }
      if (begun._tag === "Full") {
        return yield* tryLater("overloaded", `${OPEN_CASCADES} operations of yours about this node are still under way`)
      }
      // It has begun: that it can't be read now must not be taken for an operation that has not.
      const row = yield* Effect.catchTag(existing(begun.id), "StoreError", (error) =>
        begun.plan === null ? Effect.fail(unsure(error)) : Effect.succeed(begun.plan)
      )
      return json(cascadeText(row), begun.isNew ? 201 : 200)
    })

    /** An operation that the principal may read. */
    const reachable = Effect.fnUntraced(function* ({ params, principal }: RestRequest) {
      const id = yield* valid(readUuid(params.id ?? "", "The id in the path"))
      const row: CascadeRow = yield* existing(id)
      yield* authority.mayRead(principal, row.appId)
      return { id, row }
    })

    const one = Effect.fnUntraced(function* (request: RestRequest) {
      const ms = yield* valid(readTimeout(request.query.timeout, 0))
      const { id, row } = yield* reachable(request)
      if (ms === 0 || row.finishedAt !== null) return json(cascadeText(row))
      const through = Effect.gen(function* () {
        for (;;) {
          const found = yield* Cache.get(recent, id)
          if (found === null || found.finishedAt !== null) return found
          yield* Effect.sleep(FRESH_MS)
        }
      })
      const waiting = waiters.counted(row.appId, Effect.timeoutOption(through, ms))
      const found = yield* Effect.raceFirst(waiting, request.gone)
      return json(cascadeText((found._tag === "Some" ? found.value : null) ?? (yield* existing(id))))
    })

    const nodes = Effect.fnUntraced(function* (request: RestRequest) {
      const { query } = request
      const limit = yield* valid(readInteger(query.limit, "limit", LIMIT))
      const outcome = yield* valid(readOutcome(query.outcome))
      const after = yield* valid(readPlace(query.after))
      const { id } = yield* reachable(request)
      const rows = yield* store.nodes(id, outcome, after, limit + 1)
      const shown = rows.slice(0, limit)
      const last = rows.length > limit ? shown.at(-1) : undefined
      return json(pageText(shown.map(cascadeNodeText), last === undefined ? null : placeOf(last)))
    })

    const retry = Effect.fnUntraced(function* (request: RestRequest) {
      const id = yield* valid(readUuid(request.params.id ?? "", "The id in the path"))
      const row = yield* existing(id)
      yield* authority.authorize(request.principal, { ...deedOf(row, id), issuedBy: row.issuedBy })
      yield* store.retry(id)
      return json(cascadeText(yield* existing(id)))
    })

    const list = Effect.fnUntraced(function* ({ principal, query }: RestRequest) {
      const appId = query.app === undefined ? null : yield* valid(readUuid(query.app, "app"))
      const limit = yield* valid(readInteger(query.limit, "limit", LIMIT))
      const after = query.after === undefined ? null : yield* valid(readUuid(query.after, "after"))
      if (principal.nodeKey !== null) {
        if (appId === null)
          return yield* badRequest("bad_parameter", "With a node's key, app must name one that it may reach")
        yield* authority.mayRead(principal, appId)
      }
      const rows = yield* store.list(appId, after, limit + 1)
      const shown = rows.slice(0, limit)
      return json(pageText(shown.map(cascadeText), rows.length > limit ? (shown.at(-1)?.id ?? null) : null))
    })

    const get = (path: string, names: ReadonlyArray<string>, handle: Route["handle"]): Route => ({
      method: "GET",
      path,
      access: "read",
      nodes: "handler",
      query: names,
      body: false,
      handle
    })
    const post = (path: string, names: ReadonlyArray<string>, body: boolean, handle: Route["handle"]): Route => ({
      method: "POST",
      path,
      access: "control",
      nodes: "handler",
      query: names,
      body,
      handle
    })
    return [
      post("/api/v1/apps/:id/cancel", ["cascade"], true, begin),
      get("/api/v1/cascades", ["app", "limit", "after"], list),
      get("/api/v1/cascades/:id", ["timeout"], one),
      get("/api/v1/cascades/:id/nodes", ["limit", "after", "outcome"], nodes),
      post("/api/v1/cascades/:id/retry", [], false, retry)
    ]
  })
