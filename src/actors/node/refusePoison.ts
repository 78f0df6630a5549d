import type { ControlResultFrame, Decoded } from "../../protocol/Frames.ts"
import type { SessionPort } from "../SessionPort.ts"
import { type DataFrame, seqOf } from "./decideData.ts"
import type { NodeCell } from "./NodeCell.ts"
import { rejection } from "./rejection.ts"

/** Tells the child that this one frame can't be stored; never acked, never to be sent again. */
export const refusePoison = (
  cell: NodeCell,
  session: SessionPort,
  { frame }: Decoded<DataFrame | ControlResultFrame>,
  reason: string
): void => {
  const seq = frame.type === "control_result" ? undefined : (seqOf(frame) ?? undefined)
  session.send(rejection(cell.id, "bad_frame", `this frame can't be stored: ${reason}`, undefined, seq))
}
