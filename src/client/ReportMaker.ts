import { asTraceparent, fits, isPlain } from "../protocol/FieldReader.ts"
import type { MsgType } from "../protocol/Frames.ts"
import { CORRELATION_ID } from "../protocol/Limits.ts"
import type { Report } from "./Outbox.ts"
import { encodePayload, isPayloadProblem, type Payload } from "./Payload.ts"
import type { Queued, ReportOptions } from "./TrailsNode.ts"

/** What a frame has besides its payload: members, header, signature, correlation id and trace context. */
export const FRAME_BYTES = 1024

const correlationOf = (given: unknown): string | null =>
  typeof given === "string" && fits(given, CORRELATION_ID) && isPlain(given) ? given : null

interface Labels {
  readonly correlationId: string | null
  readonly traceparent: string | null
}

/** Whatever an untyped caller passes: what can't be used, or not even read, is as if it were absent. */
const labelsOf = (options: ReportOptions): Labels => {
  try {
    return {
      correlationId: correlationOf(options.correlationId),
      traceparent: asTraceparent(options.traceparent)
    }
  } catch {
    return { correlationId: null, traceparent: null }
  }
}

export type Refused = Exclude<Queued, { queued: true }>

export const refusal = (reason: Refused["reason"], message: string): Refused => ({ queued: false, reason, message })

/** Makes reports of one node. */
export class ReportMaker {
  readonly #wallClock: () => number
  readonly #traceparent: string | null

  /** `traceparent`: the node's own span, for reports that name none. */
  constructor(wallClock: () => number, traceparent: string | null) {
    this.#wallClock = wallClock
    this.#traceparent = traceparent
  }

  /** A report of `value`, or why it can't be one in a frame of `maxFrame` bytes. Never throws. */
  report(kind: MsgType, value: unknown, options: ReportOptions, maxFrame: number): Report | Refused {
    const payload = encodePayload(value)
    if (isPayloadProblem(payload)) return refusal("not_json", `this ${kind} can't be sent: ${payload.problem}`)
    const message = this.message(kind, payload, options)
    return message.size > maxFrame
      ? refusal("too_large", `a ${kind} of ${payload.size} bytes: frames may have ${maxFrame} bytes`)
      : message
  }

  /** Never throws. */
  message(kind: MsgType, payload: Payload, options: ReportOptions = {}): Report {
    const { correlationId, traceparent } = labelsOf(options)
    return {
      kind,
      payload: payload.json,
      bytes: payload.bytes,
      reason: null,
      timestamp: this.#wallClock(),
      correlationId,
      traceparent: traceparent ?? this.#traceparent,
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
