import { asTraceparent, fits, isPlain } from "../protocol/FieldReader.ts"
import type { MsgType } from "../protocol/Frames.ts"
import { CORRELATION_ID } from "../protocol/Limits.ts"
import type { Report } from "./Outbox.ts"
import type { Payload } from "./Payload.ts"
import type { ReportOptions } from "./TrailsNode.ts"

/** What a frame has besides its payload: members, header, signature, correlation id and trace context. */
export const FRAME_BYTES = 1024

const correlationOf = ({ correlationId }: ReportOptions): string | null =>
  correlationId !== undefined && fits(correlationId, CORRELATION_ID) && isPlain(correlationId) ? correlationId : null

/** Makes reports of one node. */
export class ReportMaker {
  readonly #wallClock: () => number
  readonly #traceparent: string | null

  /** `traceparent`: the node's own span, for reports that name none. */
  constructor(wallClock: () => number, traceparent: string | null) {
    this.#wallClock = wallClock
    this.#traceparent = traceparent
  }

  message(kind: MsgType, payload: Payload, options: ReportOptions = {}): Report {
    return {
      kind,
      payload: payload.json,
      bytes: payload.bytes,
      reason: null,
      timestamp: this.#wallClock(),
      correlationId: correlationOf(options),
      traceparent: asTraceparent(options.traceparent) ?? this.#traceparent,
      size: payload.size + FRAME_BYTES
    }
  }

  farewell(reason: string): Report {
    return {
      kind: "disconnect",
      payload: null,
      bytes: null,
      reason,
      timestamp: this.#wallClock(),
      correlationId: null,
      traceparent: null,
      size: FRAME_BYTES
    }
  }
}
