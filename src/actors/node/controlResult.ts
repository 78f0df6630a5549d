import { Clock, Effect } from "effect"
import type { ControlResultFrame, Decoded } from "../../protocol/Frames.ts"
import { parseUuid } from "../../protocol/Uuid.ts"
import { OPEN_COMMANDS } from "../../storage/CommandStore.ts"
import type { LogEntry } from "../../storage/LogRow.ts"
import type { NodeRow } from "../../storage/NodeRow.ts"
import type { StoreError } from "../../storage/StoreError.ts"
import { transition } from "../Lifecycle.ts"
import type { SessionPort } from "../SessionPort.ts"
import { answeredMark, answerFacts } from "./answer.ts"
import { type Change, commit, entry } from "./commit.ts"
import { EVIDENCE_LIMIT, standingOf } from "./decideData.ts"
import { deliver } from "./deliver.ts"
import { load } from "./load.ts"
import type { NodeCell, ToldCommand } from "./NodeCell.ts"
import type { NodeEnvironment } from "./NodeEnvironment.ts"
import { persist } from "./persist.ts"
import { recordStop } from "./recordStop.ts"
import { refusePoison } from "./refusePoison.ts"
import { toldCommand } from "./toldCommands.ts"

type Answer = Decoded<ControlResultFrame>

/** What the answer to a cancel says of what the node stands for: it had to be killed (docs/protocol.md §13). */
const wasForced = ({ payload }: Answer): boolean => {
  if (payload === null) return false
  const result = JSON.parse(payload) as unknown
  return typeof result === "object" && result !== null && (result as { readonly forced?: unknown }).forced === true
}

const answerEntry = (decoded: Answer, kind: LogEntry["kind"], row: NodeRow, facts: LogEntry["data"]): LogEntry => ({
  ...entry(kind, row.incarnation, facts, decoded.raw),
  correlationId: decoded.frame.correlation_id,
  payload: decoded.payload
})

/** A cancel that was carried out ends the node; every other answer is noted beside its state. */
const changeFor = (row: NodeRow, decoded: Answer, told: ToldCommand): Change => {
  const { frame, payload } = decoded
  const answered = [answeredMark(frame, payload)]
  const facts = {
    action: told.action,
    ...answerFacts(frame),
    ...(told.operation === null ? {} : { operation: told.operation })
  }
  const next = told.action === "cancel" && frame.ack ? transition(standingOf(row), "cancelled") : null
  if (next?._tag !== "Moved") {
    // Its Result has ended it before as cancelled: that something had to be killed is said only here.
    const isForced = told.action === "cancel" && frame.ack && row.status === "cancelled" && wasForced(decoded)
    return {
      hot: {},
      deadlineIn: "keep",
      ...(isForced ? { outcome: { ...row.outcome, state: row.status, forced: true } } : {}),
      rows: [answerEntry(decoded, "control", row, { ...facts, ...(isForced ? { forced: true } : {}) })],
      commands: answered
    }
  }
  const reason = told.reason ?? "cancelled"
  const forced = wasForced(decoded) ? { forced: true } : {}
  return {
    hot: { status: next.to.status, before: next.to.before },
    deadlineIn: null,
    outcome: { state: next.to.status, reason, ...forced, ...(payload === null ? {} : { payload }) },
    rows: [answerEntry(decoded, next.kind, row, { ...facts, reason, ...forced })],
    commands: answered
  }
}

/** Our clock and the database's may differ by so much, milliseconds: about whose time is nearly over the queue is asked. */
const CLOCKS = 5000

/** A command that this session was told, as far as anybody knows of it. `answered`: somebody has answered it before. */
const find: (
  env: NodeEnvironment,
  cell: NodeCell,
  session: SessionPort,
  correlationId: string
) => Effect.Effect<ToldCommand | "answered" | "expired" | null, StoreError> = Effect.fnUntraced(
  function* (env, cell, session, correlationId) {
    const told = cell.commands?.get(correlationId)
    if (told !== undefined && (yield* Clock.currentTimeMillis) < told.expiresAt - CLOCKS) return told
    const id = parseUuid(correlationId)
    const command = id === null ? null : yield* persist(env.commands.read(cell.id, id))
    if (command === null || command.deliveredAt === null) return null
    if (command.state === "answered" || command.state === "expired") return command.state
    return command.session === session.id ? toldCommand(command) : null
  }
)

/**
 * A node's answer to a command (PROTOCOL §8). The answer, the log row and, of a cancel, the end of the node are one write.
 * One that comes too late, or to a cancel that was forced meanwhile, is kept as evidence; a repetition says nothing new.
 */
export const controlResult: (
  env: NodeEnvironment,
  cell: NodeCell,
  session: SessionPort,
  decoded: Answer
) => Effect.Effect<void, StoreError> = Effect.fnUntraced(function* (env, cell, session, decoded) {
  const { correlation_id } = decoded.frame
  while (cell.session === session) {
    const row = yield* load(env, cell)
    if (row === null || cell.session !== session) return
    if (cell.stopping !== null) return yield* recordStop(env, cell, session, [decoded])
    const told = yield* find(env, cell, session, correlation_id)
    if (told === "answered") return
    if (told === null || (told === "expired" && cell.evidence >= EVIDENCE_LIMIT)) return refuse(cell, session, decoded)
    const change: Change =
      told === "expired"
        ? { hot: {}, deadlineIn: "keep", rows: [answerEntry(decoded, "control", row, { outcome: "late" })] }
        : changeFor(row, decoded, told)
    const result = yield* commit(env, cell, row, change)
    if (result._tag === "moved") continue
    if (result._tag === "poisoned") return refusePoison(cell, session, decoded, result.message)
    if (told === "expired") cell.evidence++
    const wasFull = (cell.commands?.size ?? 0) >= OPEN_COMMANDS
    cell.commands?.delete(correlation_id)
    // There may be more than it could be told at once.
    if (wasFull) yield* deliver(env, cell)
    return
  }
})

const refuse = (cell: NodeCell, session: SessionPort, { frame }: Answer): void => {
  session.send({
    type: "error",
    code: "bad_frame",
    message: `no command with correlation_id ${frame.correlation_id} is open for this node`,
    app_id: cell.id,
    retryable: false
  })
}
