import { Effect } from "effect"
import { TREE_EVENT_KINDS } from "../../protocol/Subjects.ts"
import { TreeLog } from "../../storage/TreeLog.ts"
import { TreeQueries } from "../../storage/TreeQueries.ts"
import { parseTreeCursor, type TreeCursor } from "../TreeCursor.ts"
import type { TreeSubject } from "../TreeReader.ts"
import type { Authority } from "./Authority.ts"
import { badRequest, type Problem } from "./Problem.ts"
import { noSuchNode, type Principal, readUuid, valid } from "./Route.ts"

/** What is asked for, in the words of the query. */
export interface EventQuery {
  readonly app: string | undefined
  readonly scope?: string | undefined
  readonly kind: string | undefined
  /** undefined: the end of the log. */
  readonly cursor: string | undefined
  /** What the cursor is called there, for the refusal. */
  readonly cursorName: string
}

export interface EventReading {
  readonly subject: TreeSubject
  readonly after: TreeCursor
}

const readKinds = (text: string | undefined): ReadonlySet<string> | null | Problem => {
  if (text === undefined) return null
  const kinds = text.split(",")
  const unknown = kinds.find((kind) => !(TREE_EVENT_KINDS as ReadonlyArray<string>).includes(kind))
  return unknown === undefined
    ? new Set(kinds)
    : badRequest("bad_parameter", `kind must be one or more of ${TREE_EVENT_KINDS.join(", ")}, separated by commas`)
}

const readScope = (text: string | undefined, app: string | undefined): TreeSubject["scope"] | Problem => {
  if (text === undefined) return "subtree"
  if (app === undefined) return badRequest("bad_parameter", "scope goes with app: it says how far below that node")
  return text === "children" || text === "subtree"
    ? text
    : badRequest("bad_parameter", "scope must be children or subtree")
}

const anew = (cursorName: string): string =>
  `begin anew, with 0 for all that the log has, or without ${cursorName} for what comes`

/** What `GET events` and `GET watch` have in common: what may be read by whom, and from where on. */
export const makeEventQuery = (authority: Authority) =>
  Effect.gen(function* () {
    const log = yield* TreeLog
    const queries = yield* TreeQueries
    return Effect.fnUntraced(function* (principal: Principal, query: EventQuery) {
      const { cursor, cursorName } = query
      const appId = query.app === undefined ? null : yield* valid(readUuid(query.app, "app"))
      const scope = yield* valid(readScope(query.scope, query.app))
      const kinds = yield* valid(readKinds(query.kind))
      if (appId === null && principal.nodeKey !== null) {
        return yield* badRequest("bad_parameter", "With a node's key, app must name one that it may reach")
      }
      let n = 0
      if (appId !== null) {
        yield* authority.mayRead(principal, appId)
        const standing = yield* queries.standing(appId)
        if (standing === null) return yield* noSuchNode(appId)
        n = standing.n
      }
      const subject: TreeSubject = { appId, scope, own: true, kinds }
      const head = yield* log.head
      if (cursor === undefined) return { subject, after: { id: head.newest, n } } satisfies EventReading
      const after = parseTreeCursor(cursor)
      if (after === null) {
        return yield* badRequest(
          "bad_parameter",
          `${cursorName} must be a cursor that an event, or an answer's next, has given, or 0 for the beginning`
        )
      }
      if (after.id > head.drawn) {
        return yield* badRequest(
          "bad_parameter",
          `${cursorName} is no cursor of this server's log: ${anew(cursorName)}`
        )
      }
      if (appId !== null && after.n > 0) {
        // The row that it names may be gone, or be no event; what is there of it is not behind the cursor.
        const [named] = (yield* log.own(appId, after.n - 1, 1)).rows
        if (after.n > n || (named?.n === after.n && named.id > after.id)) {
          return yield* badRequest("bad_parameter", `${cursorName} is no cursor of this app: ${anew(cursorName)}`)
        }
      }
      return { subject, after } satisfies EventReading
    })
  })
