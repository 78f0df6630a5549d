import type { ControlFrame } from "../protocol/Frames.ts"
import type { Session } from "./Attachment.ts"
import { describeError, encodePayload, isPayloadProblem } from "./Payload.ts"
import type { Platform } from "./Platform.ts"
import type { CancelHandler } from "./TrailsNode.ts"

/** `result`: exact JSON text. */
export type Answer = { readonly ack: true; readonly result: string } | { readonly ack: false; readonly error: string }

export interface CommandsOwner {
  readonly answer: (correlationId: string, answer: Answer) => void
  /** UTF-8 bytes that a result may have now. */
  readonly room: () => number
  /** The cancel hook is through: the node ends. */
  readonly onCancelled: () => void
}

/** Commands whose answers are remembered, so that a repetition is answered and not run. */
const REMEMBERED = 1024
const GRACE_MS = 5000
/** Of an error text in an answer, bytes (docs/protocol.md §14). */
const REASON = 1024

interface CancelPayload {
  readonly reason: string
  readonly graceMs: number
}

/** At most a third of the bytes that the protocol allows, whatever the characters are. */
const failureOf = (error: unknown): string =>
  `cancel_handler_failed: ${describeError(error).message}`
    .replaceAll("\0", " ")
    .slice(0, REASON / 3)
    .toWellFormed()

const readCancel = (payload: unknown): CancelPayload => {
  const { graceMs, reason } = typeof payload === "object" && payload !== null ? (payload as Partial<CancelPayload>) : {}
  return {
    reason: typeof reason === "string" ? reason : "cancelled",
    graceMs: typeof graceMs === "number" && graceMs >= 0 ? graceMs : GRACE_MS
  }
}

/**
 * What a node is told to do (PROTOCOL §8).
 * - C1 each correlation id is run once in this process; a repetition gets the same answer again.
 * - C2 the cancel handler is run once, whatever the number of cancels; each of them is answered by what it gave.
 */
export class Commands {
  readonly #platform: Platform
  readonly #owner: CommandsOwner
  /** null: under way. */
  readonly #answers = new Map<string, Answer | null>()
  #handler: CancelHandler | null
  /** A cancel that came before there was a handler. */
  #early: ((handler: CancelHandler) => void) | null = null
  #cancelling: Promise<Answer> | null = null

  constructor(platform: Platform, owner: CommandsOwner, handler: CancelHandler | null) {
    this.#platform = platform
    this.#owner = owner
    this.#handler = handler
  }

  handle(handler: CancelHandler): void {
    this.#handler = handler
    this.#early?.(handler)
  }

  /** `session`: the current one; what is not for it, or has expired at `now` by the server's clock, is ignored. */
  onControl(frame: ControlFrame, session: Session | null, now: number): void {
    const isOurs =
      session !== null &&
      frame.session === session.id &&
      frame.incarnation === session.incarnation &&
      frame.epoch >= session.epoch
    if (!isOurs || frame.expires_at <= now) return
    const { action, correlation_id } = frame
    const known = this.#answers.get(correlation_id)
    if (known !== undefined) {
      if (known !== null) this.#owner.answer(correlation_id, known)
      return
    }
    this.#remember(correlation_id, null)
    if (action !== "cancel") return this.#settle(correlation_id, { ack: false, error: "unknown_action" })
    void this.#cancel(readCancel(frame.payload)).then((answer) => {
      this.#settle(correlation_id, answer)
      if (answer.ack) this.#owner.onCancelled()
    })
  }

  /** C2 */
  #cancel(request: CancelPayload): Promise<Answer> {
    this.#cancelling ??= this.#handlerFor(request).then(async (handler) => {
      if (handler === null) {
        this.#cancelling = null
        return { ack: false, error: "no_cancel_handler" }
      }
      return await this.#run(handler, request)
    })
    return this.#cancelling
  }

  async #run(handler: CancelHandler, request: CancelPayload): Promise<Answer> {
    try {
      const payload = encodePayload(await handler(request))
      // What can't be sent must not undo that it has stopped; a frame over the limit would end the socket, each time anew.
      if (isPayloadProblem(payload) || payload.size > this.#owner.room()) return { ack: true, result: "null" }
      return { ack: true, result: payload.json ?? JSON.stringify(payload.bytes) }
    } catch (error) {
      return { ack: false, error: failureOf(error) }
    }
  }

  /** A handler may be set a moment after the node has attached: it is waited for until the grace is over. */
  #handlerFor({ graceMs }: CancelPayload): Promise<CancelHandler | null> {
    if (this.#handler !== null) return Promise.resolve(this.#handler)
    return new Promise((resolve) => {
      const settle = (handler: CancelHandler | null) => {
        stop()
        this.#early = null
        resolve(handler)
      }
      const stop = this.#platform.later(graceMs, () => settle(null))
      this.#early = settle
    })
  }

  #settle(correlationId: string, answer: Answer): void {
    this.#answers.set(correlationId, answer)
    this.#owner.answer(correlationId, answer)
  }

  #remember(correlationId: string, answer: Answer | null): void {
    this.#answers.set(correlationId, answer)
    if (this.#answers.size <= REMEMBERED) return
    for (const [oldest, done] of this.#answers) {
      if (done === null) continue
      this.#answers.delete(oldest)
      return
    }
  }
}
