import type { ControlResultFrame } from "../../protocol/Frames.ts"
import type { CommandMark } from "../../storage/NodeStore.ts"

/** What a `control_result` answers, as the queue keeps it. */
export const answeredMark = (frame: ControlResultFrame, payload: string | null): CommandMark => ({
  _tag: "Answered",
  correlationId: frame.correlation_id,
  answer: frame.ack ? { ack: true, result: payload } : { ack: false, error: frame.error ?? "" }
})

/** The same as the log tells it. */
export const answerFacts = ({ ack, error }: ControlResultFrame): Readonly<Record<string, unknown>> => ({
  outcome: ack ? "acked" : "refused",
  ...(error === undefined ? {} : { error })
})
