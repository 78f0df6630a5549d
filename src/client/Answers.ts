import type { Answer } from "./Answer.ts"
import type { Attachment } from "./Attachment.ts"

/**
 * Answers to commands on their way. They are of a session: what it does not get any more is asked for again in the next one,
 * and answered then from memory.
 */
export class Answers {
  readonly #appId: string
  readonly #attachment: Attachment
  /** Whatever was reported has gone out before. */
  readonly #isClear: () => boolean
  readonly #onLast: () => void
  #last: Array<readonly [string, Answer]> = []

  constructor(appId: string, attachment: Attachment, isClear: () => boolean, onLast: () => void) {
    this.#appId = appId
    this.#attachment = attachment
    this.#isClear = isClear
    this.#onLast = onLast
  }

  /** Something is to be said behind the reports. */
  get isWaiting(): boolean {
    return this.#last.length > 0
  }

  send(correlationId: string, answer: Answer): void {
    const { session } = this.#attachment
    if (session === null) return
    this.#attachment.send(
      {
        type: "control_result",
        app_id: this.#appId,
        incarnation: session.incarnation,
        correlation_id: correlationId,
        ack: answer.ack,
        ...(answer.ack ? {} : { error: answer.error })
      },
      answer.ack ? answer.result : null
    )
  }

  /** Behind all that was reported: a Result from a cancel hook is known before the cancel is answered. Then the node ends. */
  sendLast(correlationId: string, answer: Answer): void {
    // Nobody hears it: in the next session it is asked for again, or the farewell says it.
    if (this.#attachment.session === null) return this.#onLast()
    this.#last.push([correlationId, answer])
    this.flush()
  }

  /** What waited for reports to go out goes now, when they have. */
  flush(): void {
    if (this.#last.length === 0 || !this.#isClear()) return
    for (const [correlationId, answer] of this.#last.splice(0)) this.send(correlationId, answer)
    this.#onLast()
  }

  /** The session is over. What was to be said last is said by the farewell. */
  drop(): void {
    if (this.#last.length === 0) return
    this.#last = []
    this.#onLast()
  }
}
