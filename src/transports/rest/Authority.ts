import { Effect } from "effect"
import { AuditLog } from "../../storage/AuditLog.ts"
import { KeyDirectory } from "../../storage/KeyDirectory.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { Telemetry } from "../../Telemetry.ts"
import { Problem } from "./Problem.ts"
import type { Principal } from "./Route.ts"

/** Something that is to be done to a node. */
export interface Deed {
  /** The node. */
  readonly appId: string
  /** e.g. `control set_rate`, `cancel` */
  readonly action: string
  /** Of the command, or of the operation. */
  readonly correlationId: string
  /** Whose it is already, as the log names him: it goes on in his name, which nobody else's key is for. */
  readonly issuedBy?: string
}

export interface Authority {
  /** Fails unless the principal may read what is told of the node. */
  readonly mayRead: (principal: Principal, appId: string) => Effect.Effect<void, Problem | StoreError>
  /**
   * Fails unless the principal may do it. Either way the audit log tells of it. Answers who does it, as the log names him: of
   * several nodes with the same key the one that may.
   */
  readonly authorize: (principal: Principal, deed: Deed) => Effect.Effect<string, Problem | StoreError>
}

// What a node may not reach it does not learn the existence of either.
const outOfReach = (appId: string): Problem =>
  new Problem({
    status: 403,
    code: "not_an_ancestor",
    detail: `A node's key is for itself and the nodes below it, and ${appId} is none of them`
  })

const notTheirs = (id: string): Problem =>
  new Problem({
    status: 403,
    code: "not_the_issuer",
    detail: `The operation ${id} was begun by somebody else, in whose name it would go on; begin one of your own`
  })

/** The ancestor rule (PROTOCOL §9): an administrator may do everything, a node what concerns itself and those below it. */
export const makeAuthority: Effect.Effect<Authority, never, AuditLog | KeyDirectory | Telemetry> = Effect.gen(
  function* () {
    const audit = yield* AuditLog
    const directory = yield* KeyDirectory
    const telemetry = yield* Telemetry

    /** Why it may, and as whom; null: it may not. */
    const reasonFor = Effect.fnUntraced(function* ({ actor, nodeKey, reason }: Principal, appId: string) {
      if (nodeKey === null) return { actor, reason }
      const nearest = yield* directory.nearest(nodeKey, appId)
      return nearest === null ? null : { actor: `node:${nearest}`, reason: nearest === appId ? "itself" : "ancestor" }
    })

    return {
      mayRead: Effect.fnUntraced(function* (principal, appId) {
        if ((yield* reasonFor(principal, appId)) === null) return yield* outOfReach(appId)
      }),
      authorize: Effect.fnUntraced(function* (principal, { issuedBy, ...deed }) {
        const found = yield* reasonFor(principal, deed.appId)
        const isTheirs = issuedBy === undefined || principal.nodeKey === null || issuedBy === found?.actor
        const isAllowed = found !== null && isTheirs
        if (!isAllowed) telemetry.auditDenies.add(1)
        yield* audit.record({
          ...deed,
          actor: found?.actor ?? principal.actor,
          decision: isAllowed ? "allow" : "deny",
          reason: found === null ? "not an ancestor" : isTheirs ? found.reason : "not the issuer",
          data: null
        })
        if (found === null) return yield* outOfReach(deed.appId)
        return isTheirs ? found.actor : yield* notTheirs(deed.correlationId)
      })
    }
  }
)
