import type { ControlResultFrame, Decoded } from "../../protocol/Frames.ts"
import type { CommandAnswer } from "../../storage/NodeStore.ts"

/** What a `control_result` answers, as the queue keeps it. */
export const answerOf = ({ frame, payload }: Decoded<ControlResultFrame>): CommandAnswer =>
  frame.ack ? { ack: true, result: payload } : { ack: false, error: frame.error ?? "" }
