import { Clock, Effect } from "effect"
import type { ErrorFrame } from "../../protocol/Frames.ts"
import type { BirthDecision, BirthFacts, NodeWrite } from "../../storage/NodeStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { TREE_DEPTH } from "../../protocol/Limits.ts"
import { isFinal } from "../../protocol/Final.ts"
import { transition } from "../Lifecycle.ts"
import type { IntentAnswer, NodeMessage } from "../NodeMessage.ts"
import { believed, birthOf, doomed, unowned } from "./birthOf.ts"
import { commitOwn, entry, writeOf } from "./commit.ts"
import { standingOf } from "./decideData.ts"
import { load } from "./load.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"
import { rejection, TOO_DEEP } from "./rejection.ts"
import { checkEnvelope, isErrorFrame } from "./ticket.ts"

type Declare = Extract<NodeMessage, { readonly _tag: "Declare" }>

/**
 * An intent before the child exists: `declare`, `POST children`, `POST roots` (PROTOCOL §3). Asking again with the same
 * envelope answers the same. With `replaces` the old node ends in the same transaction.
 */
export const declare: (
  env: NodeEnvironment,
  cell: NodeCell,
  message: Declare
) => Effect.Effect<IntentAnswer, StoreError> = Effect.fnUntraced(function* (env, cell, message) {
  const { by, envelope, replaces } = message
  const rejected = (error: ErrorFrame): IntentAnswer => ({ _tag: "Rejected", error })

  if (by.nodeId !== null && envelope.parentId !== by.nodeId) {
    return rejected(rejection(cell.id, "registration_failed", "a node declares its own children only"))
  }
  if (by.nodeId === null && envelope.parentId === null && replaces !== null) {
    return rejected(rejection(cell.id, "registration_failed", "a root replaces nobody"))
  }
  const checked = yield* checkEnvelope(env, cell.id, envelope.parentId, envelope, env.settings.minLevel)
  if (isErrorFrame(checked)) return rejected(checked)

  const now = yield* Clock.currentTimeMillis
  const scheduledAt = believed(envelope.scheduledAt, now)
  const startDeadline = envelope.startDeadlineGiven ? envelope.startDeadline : env.settings.defaultStartDeadline
  const deadlineIn = startDeadline === 0 ? null : scheduledAt + startDeadline * 1000 - now
  if (deadlineIn !== null && deadlineIn <= 0) {
    return rejected(rejection(cell.id, "deadline_passed", "the envelope's startDeadline has passed already"))
  }

  const writeId = env.newId()
  /** Who held the replaced node's session, to be told; undefined when nobody was replaced. */
  let replacedOwner: string | null | undefined
  const decide = (facts: BirthFacts): BirthDecision<ErrorFrame> => {
    const refuse = (code: ErrorFrame["code"], text: string): BirthDecision<ErrorFrame> => ({
      _tag: "Refuse",
      refusal: rejection(cell.id, code, text)
    })
    if (facts.parent !== null && facts.parent.path.length >= TREE_DEPTH) return refuse("registration_failed", TOO_DEEP)
    if (envelope.parentId !== null && facts.parent === null)
      return refuse("registration_failed", "its parent is not known")
    const doom = doomed(facts, envelope)
    if (doom === "parent_sealed")
      return refuse("parent_sealed", "its tree is being cancelled: nothing is born below it")
    if (doom === "parent_exited") return refuse("parent_sealed", "its parent has ended and takes its children along")
    let replace: NodeWrite | undefined
    if (replaces !== null) {
      const old = facts.replaced
      if (old === null || old.parentId !== envelope.parentId) {
        return refuse("registration_failed", "replaces names no child of this parent")
      }
      const next = transition(standingOf(old), "superseded")
      if (next._tag === "Moved") {
        replacedOwner = old.owner
        replace = writeOf(old, writeId, {
          hot: { status: next.to.status, before: null, owner: null, session: null, epoch: old.epoch + 1 },
          deadlineIn: null,
          outcome: { state: "cancelled", reason: "superseded", forced: true },
          rows: [entry(next.kind, old.incarnation, { reason: "superseded", forced: true, by: cell.id })]
        })
      }
    }
    return {
      _tag: "Bear",
      ...(replace === undefined ? {} : { replace }),
      birth: {
        ...birthOf(envelope, { appName: envelope.appName, roleRefs: [] }, checked, { now, startDeadline }),
        hot: unowned("scheduled"),
        deadlineIn,
        outcome: null,
        rows: [entry("scheduled", 0, { by: by.actor, ...(replaces === null ? {} : { replaces }) })]
      }
    }
  }

  const outcome = yield* persist(
    env.store.birth({
      appId: cell.id,
      parentId: envelope.parentId,
      replaces,
      writeId,
      decide
    })
  )
  if (outcome._tag === "Refused") return rejected(outcome.refusal)
  cell.row = null
  if (outcome._tag === "Exists" && outcome.row.writeId !== writeId) {
    const { row } = outcome
    const same =
      row.parentId === envelope.parentId &&
      row.ticketHash === checked.ticketHash &&
      row.appName === envelope.appName &&
      (replaces === null || (yield* hasEnded(env, replaces)))
    return same && !isFinal(row.status)
      ? { _tag: "Done", appId: cell.id, created: false }
      : rejected(rejection(cell.id, "registration_failed", "a node with this id exists; use a fresh id"))
  }
  if (replacedOwner !== undefined && replaces !== null) env.moved(replaces, replacedOwner)
  return { _tag: "Done", appId: cell.id, created: true }
})

/** A repeated declaration finds the node that it replaced ended; one that came too late finds it alive. */
const hasEnded = (env: NodeEnvironment, appId: string): Effect.Effect<boolean, StoreError> =>
  Effect.map(persist(env.store.read(appId)), (row) => row !== null && isFinal(row.status))

/** `DELETE children/{id}`: an intent that never started ends as cancelled (PROTOCOL §7). */
export const deleteIntent: (
  env: NodeEnvironment,
  cell: NodeCell,
  message: Extract<NodeMessage, { readonly _tag: "DeleteIntent" }>
) => Effect.Effect<IntentAnswer, StoreError> = Effect.fnUntraced(function* (env, cell, message) {
  while (true) {
    cell.row = null
    const row = yield* load(env, cell)
    if (row === null) return { _tag: "Rejected", error: rejection(cell.id, "not_registered", "no such node") }
    const next = transition(standingOf(row), "intent_deleted")
    if (next._tag !== "Moved") {
      const text = isFinal(row.status)
        ? `the node has ended as ${row.status}`
        : `the node is ${row.status}: cancel it instead`
      const code = isFinal(row.status) ? "terminal" : "registration_failed"
      return { _tag: "Rejected", error: rejection(cell.id, code, text) }
    }
    const result = yield* commitOwn(env, cell, row, {
      hot: { status: next.to.status },
      deadlineIn: null,
      outcome: { state: "cancelled", reason: "intent_deleted" },
      rows: [entry(next.kind, row.incarnation, { reason: "intent_deleted", by: message.by.actor })]
    })
    if (result !== "moved") return { _tag: "Done", appId: cell.id, created: false }
  }
})
