import { type SecretKey, sign } from "../actors/Ed25519.ts"
import type { ActorSystem } from "../actors/ActorSystem.ts"
import type { LossCause } from "../actors/SessionPort.ts"
import type { ErrorFrame, Level, Limits, ServerFrame } from "../protocol/Frames.ts"
import { encodeFrame } from "../protocol/FrameEncoder.ts"
import { attachNull, attachSignature, TAGS } from "../protocol/SignedFrame.ts"
import type { TelemetryShape } from "../Telemetry.ts"
import type { ByteBudget } from "./ByteBudget.ts"
import type { Handshakes } from "./Handshakes.ts"
import type { PendingAnswers } from "./PendingAnswers.ts"
import type { ReadGate } from "./ReadGate.ts"
import type { RetryLoop } from "./RetryLoop.ts"
import type { SocketLimits } from "./SocketLimits.ts"
import type { Watcher } from "./Subscription.ts"
import type { EventLimits } from "./TreeEvents.ts"

/** What the listener does with a connection. */
export interface Member {
  readonly gate: ReadGate
  readonly sweep: (now: number, late: boolean) => void
  /** Tells every node to come back later, and reads no more. */
  readonly goAway: (retryAfterMs: () => number) => void
  /** Closing handshake. */
  readonly close: (code: number, reason: string, cause: LossCause) => void
  /** No closing handshake. */
  readonly cut: (cause: LossCause) => void
}

/** What all connections of one listener share. */
export interface SocketHub {
  readonly limits: SocketLimits
  /** `registered.limits` */
  readonly granted: Limits
  /** What an `event` frame may hold. */
  readonly eventLimits: EventLimits
  readonly minLevel: Level
  readonly maxFrame: number
  /** Default ping interval, milliseconds; 0 = off. */
  readonly pingInterval: number
  readonly serverKey: string
  readonly secret: SecretKey
  readonly tell: ActorSystem["Service"]["tell"]
  readonly handshakes: Handshakes
  readonly budget: ByteBudget
  readonly retries: RetryLoop
  readonly answers: PendingAnswers
  readonly watch: Watcher
  readonly telemetry: TelemetryShape
  readonly connections: Set<Member>
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Epoch milliseconds. */
  readonly wallClock: () => number
  sessions: number
}

/** A server frame as it goes over the wire: signed, or `sig: null` (PROTOCOL §3). */
export const sealFrame = (
  hub: Pick<SocketHub, "secret">,
  frame: ServerFrame,
  signed: boolean,
  application?: string
): string => {
  const message = encodeFrame(frame, application)
  return signed ? attachSignature(message, sign(hub.secret, TAGS.server, message)) : attachNull(message)
}

export interface Refusal {
  readonly appId?: string | undefined
  readonly seq?: number | undefined
  /** Absent: not retryable. */
  readonly retryAfterMs?: number
}

export const errorFrame = (code: ErrorFrame["code"], message: string, refusal: Refusal = {}): ErrorFrame => ({
  type: "error",
  code,
  message,
  ...(refusal.appId === undefined ? {} : { app_id: refusal.appId }),
  ...(refusal.seq === undefined ? {} : { seq: refusal.seq }),
  retryable: refusal.retryAfterMs !== undefined,
  ...(refusal.retryAfterMs === undefined ? {} : { retry_after_ms: refusal.retryAfterMs })
})
