import { Effect } from "effect"
import type { Envelope } from "../../protocol/Envelope.ts"
import type { ErrorFrame, Level } from "../../protocol/Frames.ts"
import { isWeaker, STRONGEST } from "../../protocol/Level.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { BoundKey } from "../../storage/NodeStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"
import { PARENT_RETRY_MS, rejection } from "./rejection.ts"

/** How far a parent's clock may be behind the database's for a key that it has changed since, milliseconds. */
const KEY_SKEW_MS = 86_400_000

export interface CheckedEnvelope {
  readonly parent: NodeRow | null
  /** Of a ticket that was verified; null without one. */
  readonly ticketHash: string | null
}

/**
 * The keys that may have signed a ticket of that time (PROTOCOL §5): the parent's current one, and an earlier one for
 * tickets from before it was replaced.
 */
export const keysValidAt = (keys: ReadonlyArray<BoundKey>, at: number): ReadonlyArray<string> =>
  keys.filter((key) => key.to === null || (at <= key.to && at >= key.from - KEY_SKEW_MS)).map((key) => key.pubKey)

/**
 * Who may be born with this envelope (PROTOCOL §4, §5): levels never fall below the parent's or the server's, and a
 * ticket, where there is one or must be one, is by the parent's key or, for a root, by the server's.
 * `info` absent (null envelope): a child of an open tree that came without one.
 */
export const checkEnvelope: (
  env: NodeEnvironment,
  appId: string,
  parentId: string | null,
  envelope: Envelope | null,
  floor: Level
) => Effect.Effect<CheckedEnvelope | ErrorFrame, StoreError> = Effect.fnUntraced(
  function* (env, appId, parentId, envelope, floor) {
    const parent = parentId === null ? null : yield* persist(env.store.read(parentId))
    if (parentId !== null && parent === null) {
      return rejection(appId, "registration_failed", "its parent is not known yet", PARENT_RETRY_MS)
    }
    const level = envelope?.secLevel ?? "open"
    if (isWeaker(STRONGEST, level)) {
      return rejection(appId, "level_too_weak", `this version has no level ${level} yet; the strongest is ${STRONGEST}`)
    }
    if (isWeaker(level, floor)) {
      return rejection(appId, "level_too_weak", `no node below ${floor} is admitted here`)
    }
    if (parent !== null && isWeaker(level, parent.level)) {
      return rejection(appId, "level_too_weak", `its parent is of level ${parent.level}: no child may be weaker`)
    }
    if (envelope !== null && (envelope.appId !== appId || envelope.parentId !== parentId)) {
      return rejection(appId, "ticket_invalid", "info is another node's envelope")
    }
    const required = env.settings.admission === "ticket" || (parent ?? { level }).level !== "open"
    if (envelope === null || envelope.ticket === null) {
      return required
        ? rejection(
            appId,
            "ticket_invalid",
            "a ticket is needed: the parent's, or for a root one by POST /api/v1/roots"
          )
        : { parent, ticketHash: null }
    }
    const keys =
      parentId === null ? [env.serverKey] : keysValidAt(yield* persist(env.store.keys(parentId)), envelope.scheduledAt)
    if (parent !== null && keys.length === 0) {
      return rejection(appId, "registration_failed", "its parent has not registered yet", PARENT_RETRY_MS)
    }
    return env.ticketSignedBy(envelope, keys)
      ? { parent, ticketHash: env.ticketHash(envelope) }
      : rejection(appId, "ticket_invalid", parentId === null ? "not signed by this server" : "not signed by its parent")
  }
)

export const isErrorFrame = (value: object): value is ErrorFrame => "type" in value && value.type === "error"
