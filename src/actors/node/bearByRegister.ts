import { Clock, Effect } from "effect"
import type { ErrorFrame } from "../../protocol/Frames.ts"
import { TREE_DEPTH } from "../../protocol/Limits.ts"
import type { LogEntry } from "../../storage/LogRow.ts"
import type { NodeState } from "../../protocol/Frames.ts"
import type { Outcome } from "../../storage/NodeRow.ts"
import type { BirthDecision, BirthFacts } from "../../storage/NodeStore.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import type { Admission, NodeMessage } from "../NodeMessage.ts"
import { attach, registeredFrame } from "./attach.ts"
import { birthOf, doomed } from "./birthOf.ts"
import { entry } from "./commit.ts"
import type { NodeCell } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"
import { PARENT_RETRY_MS, rejection, TOO_DEEP } from "./rejection.ts"
import { checkEnvelope, isErrorFrame } from "./ticket.ts"

/** How a node begins: alive, or already over (and then only to be told so). */
interface Beginning {
  readonly status: NodeState
  readonly outcome: Outcome | null
  readonly row: (incarnation: number) => LogEntry | null
}

const over = (status: "cancelled" | "start_failed", reason: string): Beginning => ({
  status,
  outcome: { state: status, reason, lateStart: true },
  row: (incarnation) =>
    entry(status, incarnation, {
      reason,
      late_start: true,
      ...(status === "start_failed" ? { crash_type: reason, gap_seconds: 0 } : {})
    })
})

const alive: Beginning = { status: "connected", outcome: null, row: () => null }

/**
 * The first `register` of a node that nobody declared (PROTOCOL §4). Under the birth's locks it is born connected, or,
 * under a seal, a gone parent or after its ticket's deadline, born final with a session that tells it to stop.
 * "exists": somebody else was first; the caller judges that row.
 */
export const bearByRegister: (
  env: NodeEnvironment,
  cell: NodeCell,
  message: Extract<NodeMessage, { readonly _tag: "Register" }>
) => Effect.Effect<Admission | "exists", StoreError> = Effect.fnUntraced(function* (env, cell, message) {
  const { envelope, session } = message
  const { frame } = message.decoded
  const rejected = (error: ErrorFrame): Admission => ({ _tag: "Rejected", error })

  if (env.settings.admission === "declared") {
    const text = "its parent has not declared it (this server admits declared nodes only)"
    return rejected(rejection(cell.id, "registration_failed", text, PARENT_RETRY_MS))
  }
  if (!message.verified && (envelope?.secLevel ?? "open") !== "open") {
    return rejected(rejection(cell.id, "level_too_weak", `its envelope says ${envelope?.secLevel}: sign its frames`))
  }
  const checked = yield* checkEnvelope(env, cell.id, frame.parent_id, envelope, message.floor)
  if (isErrorFrame(checked)) return rejected(checked)
  if (envelope?.childKey != null && envelope.childKey !== frame.child_pub_key) {
    return rejected(rejection(cell.id, "key_mismatch", "the envelope names another key for this node"))
  }

  const now = yield* Clock.currentTimeMillis
  const startDeadline =
    envelope === null ? 0 : envelope.startDeadlineGiven ? envelope.startDeadline : env.settings.defaultStartDeadline
  // Only a ticket has a deadline to miss here: without one nothing was scheduled (PROTOCOL §2, §5).
  const late =
    checked.ticketHash !== null &&
    envelope !== null &&
    startDeadline > 0 &&
    now > envelope.scheduledAt + startDeadline * 1000

  const writeId = env.newId()
  let registered = ""
  let cancelOnly = false

  const decide = (facts: BirthFacts): BirthDecision<ErrorFrame> => {
    if (frame.parent_id !== null && facts.parent === null) {
      const text = "its parent is not known yet"
      return { _tag: "Refuse", refusal: rejection(cell.id, "registration_failed", text, PARENT_RETRY_MS) }
    }
    if (facts.parent !== null && facts.parent.path.length >= TREE_DEPTH) {
      return { _tag: "Refuse", refusal: rejection(cell.id, "registration_failed", TOO_DEEP) }
    }
    const doom = doomed(facts, envelope)
    const beginning = doom !== null ? over("cancelled", doom) : late ? over("start_failed", "never_started") : alive
    cancelOnly = beginning !== alive
    registered = session.seal(
      registeredFrame(
        {
          appId: cell.id,
          parentId: frame.parent_id,
          ticketHash: checked.ticketHash,
          pubKey: frame.child_pub_key,
          incarnation: 1,
          epoch: 1,
          lastSeq: 0,
          cancelOnly
        },
        session,
        frame
      )
    )
    const first = beginning.row(1)
    return {
      _tag: "Bear",
      birth: {
        ...birthOf(envelope, { appName: frame.app_name, roleRefs: frame.role_refs }, checked, { now, startDeadline }),
        hot: {
          status: beginning.status,
          before: null,
          owner: env.boot,
          session: session.id,
          epoch: 1,
          incarnation: 1,
          lastSeq: 0,
          rebinds: 0
        },
        deadlineIn: null,
        outcome: beginning.outcome,
        identity: {
          incarnation: 1,
          pubKey: frame.child_pub_key,
          processInfo: frame.process_info,
          capabilities: frame.capabilities ?? [],
          cancelGraceMs: frame.cancel_grace_ms ?? null
        },
        rows:
          first === null
            ? [entry("connected", 1, { session: session.id }, registered)]
            : [first, entry("control", 1, { only: "cancel", late_start: true }, registered)]
      }
    }
  }

  const outcome = yield* persist(
    env.store.birth({
      appId: cell.id,
      parentId: frame.parent_id,
      replaces: null,
      writeId,
      decide
    })
  )
  if (outcome._tag === "Refused") return rejected(outcome.refusal)
  // Read after the commit: when somebody else holds the node by then, the next load tells this session so.
  cell.row = outcome.row
  // My own birth whose answer was lost is found existing, under my write id.
  if (outcome._tag === "Exists" && outcome.row.writeId !== writeId) return "exists"
  return yield* attach(env, cell, outcome.row, session, registered, cancelOnly)
})
