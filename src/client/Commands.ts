import type { ControlFrame } from "../protocol/Frames.ts"
import { CANCEL_GRACE, CAPABILITIES } from "../protocol/Limits.ts"
import { Actions, type ActionsOwner } from "./Actions.ts"
import type { Capable } from "./Advertisement.ts"
import { type Answer, failure } from "./Answer.ts"
import type { Session } from "./Attachment.ts"
import { encodePayload, isPayloadProblem } from "./Payload.ts"
import type { Platform } from "./Platform.ts"
import type { CancelHandler, CancelOptions, CancelRequest, InitOptions } from "./TrailsNode.ts"

export interface CommandsOwner extends ActionsOwner {
  readonly answer: (correlationId: string, answer: Answer) => void
  /** The cancel hook is through: this is the answer to it, behind whatever was reported, and then the node ends. */
  readonly answerLast: (correlationId: string, answer: Answer) => void
  /** What the node takes is another than before. */
  readonly onChanged: () => void
  readonly warn: (text: string) => void
}

export type CommandsOptions = Pick<InitOptions, "cancelGraceMs" | "capabilities" | "onCancel">

/** Commands whose answers are remembered, so that a repetition is answered and not run. */
const REMEMBERED = 1024
const GRACE_MS = 5000

const readCancel = (payload: unknown): Pick<CancelRequest, "graceMs" | "reason"> => {
  const { graceMs, reason } =
    typeof payload === "object" && payload !== null ? (payload as Partial<Record<string, unknown>>) : {}
  return {
    reason: typeof reason === "string" ? reason : "cancelled",
    graceMs: typeof graceMs === "number" && graceMs >= 0 ? graceMs : GRACE_MS
  }
}

/**
 * What a node is told to do (PROTOCOL §8).
 * - C1 each correlation id is run once in this process; a repetition gets the same answer again.
 * - C2 the cancel handler is run once, whatever the number of cancels; each of them is answered by what it gave. The one that
 *   allows least time holds for all: a later one may shorten what is left, and never lengthens it.
 * - C3 a cancel waits for no other command.
 */
export class Commands {
  readonly #actions: Actions
  readonly #platform: Platform
  readonly #owner: CommandsOwner
  /** null: under way. */
  readonly #answers = new Map<string, Answer | null>()
  /** Answered without a handler. */
  readonly #declared: ReadonlyArray<string>
  #handler: CancelHandler | null = null
  #graceMs: number | null
  /** A cancel that came before there was a handler; null: there was none in time. */
  #early: ((handler: CancelHandler | null) => void) | null = null
  #stopTimer: () => void = () => {}
  #cancelling: Promise<Answer> | null = null
  /** C2: by `Platform.monotonic`. */
  #until = Infinity
  #hook: string | null = null

  constructor(platform: Platform, owner: CommandsOwner, options: CommandsOptions) {
    this.#actions = new Actions(platform, owner, owner.onChanged)
    this.#platform = platform
    this.#owner = owner
    this.#declared = [...(options.capabilities ?? [])]
    this.#graceMs = this.#readGrace(options.cancelGraceMs)
    if (options.onCancel != null) this.#take(options.onCancel)
  }

  /** Never more than the server takes: it refuses a whole registration for that. */
  get capable(): Capable {
    return { names: [...this.#names].slice(0, CAPABILITIES), graceMs: this.#graceMs }
  }

  get #names(): ReadonlySet<string> {
    return new Set([...this.#declared, ...this.#actions.names])
  }

  /** The correlation id of the cancel whose hook runs: what is reported meanwhile belongs to it. */
  get hook(): string | null {
    return this.#hook
  }

  onCancel(handler: CancelHandler, options: CancelOptions | null): void {
    if (!this.#take(handler)) return
    this.#graceMs = this.#readGrace(options?.graceMs) ?? this.#graceMs
    this.#owner.onChanged()
    this.#early?.(handler)
  }

  /** `given`: see `On`. Returns what takes it off. */
  on(action: string, given: ReadonlyArray<unknown>): () => void {
    const taken = this.#actions.on(action, given)
    if (typeof taken === "string") {
      this.#owner.warn(`on: ${taken}`)
      return () => {}
    }
    if (this.#names.size > CAPABILITIES)
      this.#owner.warn(
        `on: ${action} is answered, but of more than ${CAPABILITIES} actions ancestors see the first only`
      )
    return taken
  }

  #take(handler: unknown): boolean {
    const isOne = typeof handler === "function"
    if (isOne) this.#handler = handler as CancelHandler
    else this.#owner.warn("onCancel: the handler is no function, and is left out")
    return isOne
  }

  /** Whole milliseconds that the protocol takes; null: none were given. */
  #readGrace(given: unknown): number | null {
    if (given == null) return null
    const isOne = typeof given === "number" && given >= 0
    const grace = isOne ? Math.min(Math.ceil(given), CANCEL_GRACE) : null
    if (!isOne || given > CANCEL_GRACE)
      this.#owner.warn(
        `onCancel: the grace must be 0 to ${CANCEL_GRACE} milliseconds, and is taken as ${grace ?? "none"}`
      )
    return grace
  }

  /** `session`: the current one; what is not for it, or has expired by the server's clock, is ignored. */
  onControl(frame: ControlFrame, session: Session | null): void {
    const isOurs =
      session !== null &&
      frame.session === session.id &&
      frame.incarnation === session.incarnation &&
      frame.epoch >= session.epoch
    if (!isOurs || frame.expires_at <= this.#owner.now()) return
    const { action, correlation_id } = frame
    const known = this.#answers.get(correlation_id)
    if (known !== undefined) {
      if (known !== null) this.#answer(correlation_id, known, action === "cancel")
      return
    }
    this.#remember(correlation_id, null)
    if (action === "cancel") {
      void this.#cancel(frame).then((answer) => this.#settle(correlation_id, answer, true))
      return
    }
    void this.#actions.run(frame).then((answer) => {
      if (answer === null) this.#answers.delete(correlation_id)
      else this.#settle(correlation_id, answer, false)
    })
  }

  /** C2 */
  #cancel({ correlation_id, issued_by, payload }: ControlFrame): Promise<Answer> {
    const { graceMs, reason } = readCancel(payload)
    this.#until = Math.min(this.#until, this.#platform.monotonic() + graceMs)
    const request: CancelRequest = {
      reason,
      graceMs,
      initiator: issued_by,
      correlationId: correlation_id,
      remainingMs: () => this.#remainingMs
    }
    this.#cancelling ??= this.#awaitHandler().then(async (handler) => {
      if (handler === null) {
        this.#cancelling = null
        this.#until = Infinity
        return { ack: false, error: "no_cancel_handler" }
      }
      return await this.#run(handler, request)
    })
    if (this.#early !== null) {
      this.#stopTimer()
      this.#stopTimer = this.#platform.later(this.#remainingMs, () => this.#early?.(null))
    }
    return this.#cancelling
  }

  get #remainingMs(): number {
    return Math.max(0, this.#until - this.#platform.monotonic())
  }

  async #run(handler: CancelHandler, request: CancelRequest): Promise<Answer> {
    this.#hook = request.correlationId
    try {
      const payload = encodePayload(await handler(request))
      // What can't be sent must not undo that it has stopped; a frame over the limit would end the socket, each time anew.
      if (isPayloadProblem(payload) || payload.size > this.#owner.room()) return { ack: true, result: "null" }
      return { ack: true, result: payload.json ?? JSON.stringify(payload.bytes) }
    } catch (error) {
      return failure("cancel_handler_failed", error)
    } finally {
      this.#hook = null
    }
  }

  /** A handler may be set a moment after the node has attached: it is waited for until the grace is over. */
  #awaitHandler(): Promise<CancelHandler | null> {
    if (this.#handler !== null) return Promise.resolve(this.#handler)
    return new Promise((resolve) => {
      this.#early = (handler) => {
        this.#stopTimer()
        this.#early = null
        resolve(handler)
      }
    })
  }

  #settle(correlationId: string, answer: Answer, isCancel: boolean): void {
    this.#answers.set(correlationId, answer)
    this.#answer(correlationId, answer, isCancel)
  }

  #answer(correlationId: string, answer: Answer, isCancel: boolean): void {
    if (isCancel && answer.ack) this.#owner.answerLast(correlationId, answer)
    else this.#owner.answer(correlationId, answer)
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
