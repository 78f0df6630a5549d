import type { Envelope } from "../../protocol/Envelope.ts"
import type { HotState, NodeRow } from "../../storage/NodeRow.ts"
import type { Birth } from "../../storage/NodeStore.ts"
import { isEnded } from "../../protocol/Ended.ts"
import type { CheckedEnvelope } from "./ticket.ts"

/** Facts of a birth that came without an envelope (open level). */
export interface Bare {
  readonly appName: string
  readonly roleRefs: ReadonlyArray<string>
}

const DEFAULT_SUPERVISION = { onParentExit: "abandon", onCrash: "notify", restarts: 0 } as const

/** A child may narrow its parent's rights, never widen them (PROTOCOL §2). */
const narrow = <A>(asked: ReadonlyArray<A>, parent: ReadonlyArray<A> | null): ReadonlyArray<A> => {
  if (parent === null) return asked
  const allowed = new Set(parent.map((item) => JSON.stringify(item)))
  return asked.filter((item) => allowed.has(JSON.stringify(item)))
}

/** A clock that is further off than this is not believed: the server's is taken (PROTOCOL §2), milliseconds. */
const CLOCK_TRUST_MS = 86_400_000

export const believed = (scheduledAt: number, now: number): number =>
  Math.abs(scheduledAt - now) > CLOCK_TRUST_MS ? now : scheduledAt

/** What the envelope says about a new node; the caller adds its state and its rows. */
export const birthOf = (
  envelope: Envelope | null,
  bare: Bare,
  checked: CheckedEnvelope,
  facts: { readonly now: number; readonly startDeadline: number }
): Omit<Birth, "hot" | "deadlineIn" | "outcome" | "rows"> => ({
  appName: envelope?.appName ?? bare.appName,
  namespace: envelope?.namespace ?? "default",
  level: envelope?.secLevel ?? "open",
  envelope: envelope === null ? null : envelope.json,
  originator: envelope?.originator ?? null,
  roleRefs: narrow(envelope?.roleRefs ?? bare.roleRefs, checked.parent?.roleRefs ?? null),
  grants: narrow(envelope?.grants ?? [], checked.parent?.grants ?? null),
  tags: envelope?.tags ?? null,
  supervision: envelope?.supervision ?? DEFAULT_SUPERVISION,
  childKey: envelope?.childKey ?? null,
  ticketHash: checked.ticketHash,
  traceparent: envelope?.traceparent ?? null,
  startDeadline: facts.startDeadline,
  scheduledAt: envelope === null ? facts.now : believed(envelope.scheduledAt, facts.now)
})

/** The hot state of a node that nobody holds. */
export const unowned = (status: HotState["status"]): HotState => ({
  status,
  before: null,
  owner: null,
  session: null,
  epoch: 0,
  incarnation: 0,
  lastSeq: 0,
  rebinds: 0
})

/**
 * Why a node must not live although its envelope is good: a seal above it, or a parent that has ended and takes its
 * children along, by a verdict too: the end has been looked at by then, and is not once more (PROTOCOL §4). Read under the
 * birth's locks.
 */
export const doomed = (
  facts: { readonly parent: NodeRow | null; readonly sealedBy: string | null },
  envelope: Envelope | null
): "parent_sealed" | "parent_exited" | null => {
  if (facts.sealedBy !== null) return "parent_sealed"
  const policy = envelope?.supervision.onParentExit ?? DEFAULT_SUPERVISION.onParentExit
  return facts.parent !== null && isEnded(facts.parent.status) && policy === "cancel" ? "parent_exited" : null
}
