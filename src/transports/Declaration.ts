import { Deferred } from "effect"
import type { IntentAnswer } from "../actors/NodeMessage.ts"
import { decodeEnvelope, isEnvelopeProblem } from "../protocol/Envelope.ts"
import type { DeclareFrame, ErrorCode } from "../protocol/Frames.ts"
import { levelProblem } from "./OfferedLevel.ts"
import type { Session } from "./Session.ts"
import { errorFrame } from "./SocketHub.ts"

const RETRY_MS = 1000

/**
 * A parent declares a child (PROTOCOL §3): the child's actor decides. False: its mailbox is full, nothing has happened.
 * `answered` is called once for each that was accepted for decision, or refused at once.
 */
export const declare = (session: Session, frame: DeclareFrame, answered: () => void): boolean => {
  const { hub } = session.owner
  const parent = session.appId
  const envelope = decodeEnvelope(frame.info)
  const refuse = (code: ErrorCode, message: string): true => {
    const child = isEnvelopeProblem(envelope) ? {} : { child_id: envelope.appId }
    session.send({ ...errorFrame(code, message, { appId: parent }), ...child })
    answered()
    return true
  }
  if (isEnvelopeProblem(envelope)) return refuse("registration_failed", `info: ${envelope.problem}`)
  const problem = levelProblem(envelope.secLevel)
  if (problem !== null) return refuse("level_too_weak", problem)
  const reply = Deferred.makeUnsafe<IntentAnswer>()
  const taken = hub.tell(envelope.appId, {
    _tag: "Declare",
    envelope,
    info: frame.info,
    replaces: frame.replaces ?? null,
    by: { actor: `node:${parent}`, nodeId: parent },
    reply
  })
  if (!taken) return false
  const late: IntentAnswer = {
    _tag: "Rejected",
    error: errorFrame("unavailable", "the declaration could not be stored in time: declare again", {
      retryAfterMs: RETRY_MS
    })
  }
  hub.answers.wait(reply, late, (answer) => {
    if (answer._tag === "Done") session.send({ type: "declared", app_id: parent, child_id: answer.appId })
    // The error of the child's actor is about the child; on this socket `app_id` is who asked.
    else
      session.send({
        ...answer.error,
        message: `child ${envelope.appId}: ${answer.error.message}`,
        app_id: parent,
        child_id: envelope.appId
      })
    answered()
  })
  return true
}
