import { encodeFrame } from "../protocol/FrameEncoder.ts"
import type { Identity } from "./Identity.ts"
import type { Entry } from "./Outbox.ts"

/** M of a report: the same bytes whenever it is sent again in the same incarnation (PROTOCOL §3, §6). */
export const reportFrame = ({ appId, startDay }: Identity, incarnation: number, entry: Entry): string => {
  if (entry.kind === "disconnect") {
    const reason = entry.reason ?? "completed"
    return encodeFrame({ type: "disconnect", app_id: appId, incarnation, seq: entry.seq, reason })
  }
  return encodeFrame(
    {
      type: "message",
      app_id: appId,
      incarnation,
      start_day: startDay,
      header: {
        msg_type: entry.kind,
        timestamp: entry.timestamp,
        seq: entry.seq,
        correlation_id: entry.correlationId,
        ...(entry.traceparent === null ? {} : { traceparent: entry.traceparent })
      },
      ...(entry.bytes === null ? {} : { bytes: entry.bytes })
    },
    entry.payload
  )
}
