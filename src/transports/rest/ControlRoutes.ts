import { Effect } from "effect"
import { ActorSystem } from "../../actors/ActorSystem.ts"
import { type CommandRow, CommandStore, MOST_COMMANDS } from "../../storage/CommandStore.ts"
import { Waiters } from "../Waiters.ts"
import type { Authority } from "./Authority.ts"
import { commandLooks } from "./CommandLooks.ts"
import { commandText } from "./CommandText.ts"
import { readAction, readKey, readNumber, readTrace } from "./ControlMembers.ts"
import { pageText } from "./JsonText.ts"
import { readMembers } from "./Members.ts"
import { badRequest, notFound, Problem, tryLater, uncertain } from "./Problem.ts"
import { json, noSuchNode, readInteger, readTimeout, readUuid, type RestRequest, type Route, valid } from "./Route.ts"

const LIMIT = { min: 1, max: 500, otherwise: 100 }
const TTL = { min: 1, max: 7 * 24 * 3_600_000, otherwise: 300_000 }
const WAIT = { min: 0, max: 300_000, otherwise: 0 }
/** After its time is over a command is expired, by the database's clock: what is waited beyond it, milliseconds. */
const CLOCKS = 100

const isThrough = ({ state }: CommandRow): boolean => state === "answered" || state === "expired"

/**
 * Commands (PROTOCOL §8): a row of the queue, told to the node's session wherever it is, and answered by the node itself.
 * Whoever waits looks at the row, at any replica, as often as he likes.
 */
export const controlRoutes = (
  newId: () => string,
  authority: Authority
): Effect.Effect<ReadonlyArray<Route>, never, ActorSystem | CommandStore | Waiters> =>
  Effect.gen(function* () {
    const actors = yield* ActorSystem
    const commands = yield* CommandStore
    const waiters = yield* Waiters
    const look = commandLooks(commands)

    /** The command when it is through, or as it stands after `ms`. */
    const settled = Effect.fnUntraced(function* (row: CommandRow, ms: number, gone: Effect.Effect<never>) {
      if (ms === 0 || isThrough(row)) return row
      const { appId, correlationId } = row
      // An expiry is no event of the node: nothing wakes for it.
      const left = Math.max(0, row.expiresAt - row.issuedAt) + CLOCKS
      const found = yield* Effect.raceFirst(
        waiters.answered(appId, look({ appId, correlationId }), Math.min(ms, left)),
        gone
      )
      return found ?? (yield* commands.read(appId, correlationId)) ?? row
    })

    /** The command is queued: whatever becomes of the waiting, the answer must not be taken for one that it is not. */
    const shown = (row: CommandRow, ms: number, gone: Effect.Effect<never>) =>
      Effect.map(
        Effect.orElseSucceed(settled(row, ms, gone), () => row),
        commandText
      )

    const same = (row: CommandRow, action: string, payload: string): boolean =>
      row.action === action && row.payload === payload

    const send = Effect.fnUntraced(function* ({ body, gone, params, principal, slice }: RestRequest) {
      const appId = yield* valid(readUuid(params.id ?? "", "The id in the path"))
      const members = yield* readMembers(body, [
        "action",
        "payload",
        "timeoutMs",
        "ttlMs",
        "idempotencyKey",
        "traceparent"
      ])
      const action = yield* valid(readAction(members.action))
      const idempotencyKey = yield* valid(readKey(members.idempotencyKey))
      const ttlMs = yield* valid(readNumber(members.ttlMs, "ttlMs", TTL))
      const timeoutMs = yield* valid(readNumber(members.timeoutMs, "timeoutMs", WAIT))
      const traceparent = yield* valid(readTrace(members.traceparent))
      const payload = slice("payload") ?? "null"
      const correlationId = newId()
      const issuedBy = yield* authority.authorize(principal, { appId, action: `control ${action}`, correlationId })
      const sent = yield* Effect.mapError(
        commands.send({ appId, correlationId, action, payload, issuedBy, idempotencyKey, traceparent, ttlMs }),
        (error) =>
          idempotencyKey === null ? uncertain(error, `/api/v1/apps/${appId}/commands/${correlationId}`) : error
      )
      switch (sent._tag) {
        case "Unknown":
          return yield* noSuchNode(appId)
        case "Ended":
          return yield* new Problem({ status: 409, code: "terminal", detail: `The node has ended as ${sent.status}` })
        case "Full":
          return yield* tryLater(
            "overloaded",
            `${MOST_COMMANDS} commands wait for this node already; nothing was queued: GET /api/v1/apps/${appId}/commands?state=open`
          )
        case "Known":
          if (!same(sent.row, action, payload)) {
            return yield* new Problem({
              status: 409,
              code: "conflict",
              detail: "This idempotencyKey was used for another command of this node; use a fresh one"
            })
          }
          return json(yield* shown(sent.row, timeoutMs, gone))
        case "Queued":
          actors.hint(appId, sent.owner, "commanded", sent.epoch)
          return json(yield* shown(sent.row, timeoutMs, gone), 201)
      }
    })

    const one = Effect.fnUntraced(function* ({ gone, params, query }: RestRequest) {
      const appId = yield* valid(readUuid(params.id ?? "", "The id in the path"))
      const correlationId = yield* valid(readUuid(params.correlation ?? "", "The correlation id in the path"))
      const ms = yield* valid(readTimeout(query.timeout, 0))
      const row = yield* commands.read(appId, correlationId)
      if (row === null) {
        return yield* notFound(`The node ${appId} has no command ${correlationId}; GET /api/v1/apps/${appId}/commands`)
      }
      return json(commandText(yield* settled(row, ms, gone)))
    })

    const list = Effect.fnUntraced(function* ({ params, query }: RestRequest) {
      const appId = yield* valid(readUuid(params.id ?? "", "The id in the path"))
      const limit = yield* valid(readInteger(query.limit, "limit", LIMIT))
      const bounds = { min: 0, max: Number.MAX_SAFE_INTEGER, otherwise: 0 }
      const after = query.after === undefined ? null : String(yield* valid(readInteger(query.after, "after", bounds)))
      if (query.state !== undefined && query.state !== "open") {
        return yield* badRequest("bad_parameter", "state must be open; without it all commands are listed")
      }
      const rows = yield* commands.list(appId, { limit: limit + 1, after }, query.state === "open")
      const shown = rows.slice(0, limit)
      return json(pageText(shown.map(commandText), rows.length > limit ? String(shown.at(-1)?.id) : null))
    })

    return [
      {
        method: "POST",
        path: "/api/v1/apps/:id/control",
        access: "control",
        nodes: "handler",
        query: [],
        body: true,
        handle: send
      },
      {
        method: "GET",
        path: "/api/v1/apps/:id/commands",
        access: "read",
        nodes: "path",
        query: ["state", "limit", "after"],
        body: false,
        handle: list
      },
      {
        method: "GET",
        path: "/api/v1/apps/:id/commands/:correlation",
        access: "read",
        nodes: "path",
        query: ["timeout"],
        body: false,
        handle: one
      }
    ]
  })
