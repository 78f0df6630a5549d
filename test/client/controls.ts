import type { ControlFrame } from "../../src/protocol/Frames.ts"
import type { Stage } from "./Stage.ts"

/** A command of the stage's server: a cancel, unless told otherwise. */
export const control = (stage: Stage, changes: Partial<ControlFrame> = {}): Promise<void> => {
  const { app_id, epoch, incarnation, session } = stage.session!
  return stage.say({
    type: "control",
    app_id,
    incarnation,
    session,
    epoch,
    action: "cancel",
    correlation_id: "c-1",
    payload: { reason: "enough", graceMs: 2000 },
    issued_by: "admin",
    issued_at: stage.platform.wallClock(),
    expires_at: stage.platform.wallClock() + 60_000,
    ...changes
  })
}

export const answers = (stage: Stage) => stage.socket.of("control_result")
