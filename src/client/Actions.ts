import type { ControlFrame } from "../protocol/Frames.ts"
import { fits, isPlain } from "../protocol/FieldReader.ts"
import { NAME } from "../protocol/Limits.ts"
import { type Answer, failure } from "./Answer.ts"
import { encodePayload, isPayloadProblem } from "./Payload.ts"
import type { Platform } from "./Platform.ts"
import { issuesText, type StandardSchema } from "./StandardSchema.ts"
import type { ActionHandler, ActionOptions } from "./TrailsNode.ts"

interface Entry {
  readonly handler: ActionHandler<never>
  readonly schema: StandardSchema | null
  readonly timeoutMs: number
}

export interface ActionsOwner {
  /** UTF-8 bytes that a result may have now. */
  readonly room: () => number
  /** The server's clock, epoch milliseconds. */
  readonly now: () => number
}

const isSchema = (value: unknown): value is StandardSchema | null =>
  value === null || typeof (value as Partial<StandardSchema> | undefined)?.["~standard"]?.validate === "function"

/** A schema can be a function as well (ArkType, classes of Effect Schema). */
const isHandlerFirst = ([first, second]: ReadonlyArray<unknown>): boolean =>
  typeof first === "function" && typeof second !== "function" && !("~standard" in first)

const TIMEOUT_MS = 60_000
const UNKNOWN: Answer = { ack: false, error: "unknown_action" }
const NOTHING = (): void => {}

/**
 * The actions that a node answers. They run one after the other, in the order of the commands: what two of them change is
 * changed in that order. One whose time is over gives way to the next; its handler is told by its signal.
 */
export class Actions {
  readonly #platform: Platform
  readonly #owner: ActionsOwner
  readonly #onChanged: () => void
  readonly #entries = new Map<string, Entry>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(platform: Platform, owner: ActionsOwner, onChanged: () => void) {
    this.#platform = platform
    this.#owner = owner
    this.#onChanged = onChanged
  }

  get names(): ReadonlyArray<string> {
    return [...this.#entries.keys()]
  }

  /** Takes it; why not, when that makes no sense. `given`: schema or none, handler, options or none, as `On` has them. */
  on(action: string, given: ReadonlyArray<unknown>): string | (() => void) {
    const [schema, handler, options] = isHandlerFirst(given) ? [null, ...given] : given
    if (typeof action !== "string" || action === "" || !fits(action, NAME) || !isPlain(action))
      return `an action is a name of 1 to ${NAME} bytes`
    if (action === "cancel") return "cancel has a way of its own: onCancel(handler)"
    if (typeof handler !== "function") return `${action} has no handler: on(action, schema?, handler, options?)`
    if (!isSchema(schema)) return `the schema of ${action} is none by Standard Schema: it has no "~standard".validate`
    const { timeoutMs = TIMEOUT_MS } = (options ?? {}) as ActionOptions
    if (typeof timeoutMs !== "number" || !(timeoutMs > 0))
      return `the time-out of ${action} must be milliseconds above 0`
    const entry: Entry = { handler: handler as Entry["handler"], schema, timeoutMs }
    this.#entries.set(action, entry)
    this.#onChanged()
    return () => {
      if (this.#entries.get(action) !== entry) return
      this.#entries.delete(action)
      this.#onChanged()
    }
  }

  /** The answer; null: its time was over before it could be run. */
  run(frame: ControlFrame): Promise<Answer | null> {
    if (!this.#entries.has(frame.action)) return Promise.resolve(UNKNOWN)
    const turn = this.#last.then(() => {
      if (frame.expires_at <= this.#owner.now()) return null
      // The handler that there is now: it may have been replaced, or taken off, while the command waited.
      const entry = this.#entries.get(frame.action)
      return entry === undefined ? UNKNOWN : this.#within(entry, frame)
    })
    this.#last = turn
    return turn
  }

  /** Never rejects. */
  #within(entry: Entry, frame: ControlFrame): Promise<Answer> {
    const abort = new AbortController()
    let stop = NOTHING
    const late = new Promise<Answer>((resolve) => {
      stop = this.#platform.later(entry.timeoutMs, () => {
        resolve({ ack: false, error: `timeout: its handler gave no answer within ${entry.timeoutMs} ms` })
        abort.abort()
      })
    })
    return Promise.race([this.#execute(entry, frame, abort.signal), late]).finally(stop)
  }

  async #execute({ handler, schema }: Entry, frame: ControlFrame, signal: AbortSignal): Promise<Answer> {
    try {
      let payload: unknown = frame.payload
      if (schema !== null) {
        const checked = await schema["~standard"].validate(payload)
        if (checked.issues !== undefined) return failure("invalid_payload", issuesText(checked.issues))
        payload = checked.value
      }
      const value = await handler(payload as never, {
        action: frame.action,
        correlationId: frame.correlation_id,
        issuedBy: frame.issued_by,
        issuedAt: frame.issued_at,
        expiresAt: frame.expires_at,
        signal
      })
      const result = encodePayload(value)
      if (isPayloadProblem(result)) return failure("bad_result", result.problem)
      const room = this.#owner.room()
      if (result.size > room) return failure("bad_result", `${result.size} bytes, and this server takes ${room}`)
      return { ack: true, result: result.json ?? JSON.stringify(result.bytes) }
    } catch (error) {
      return failure("handler_failed", error)
    }
  }
}
