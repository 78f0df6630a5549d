import type { ErrorFrame, MsgType, ServerFrame } from "../protocol/Frames.ts"
import { DEFAULT_MAX_FRAME } from "../protocol/Limits.ts"
import { Attachment, type Session } from "./Attachment.ts"
import { Children } from "./Children.ts"
import { Answers } from "./Answers.ts"
import { Commands } from "./Commands.ts"
import type { HandOver } from "./HandOver.ts"
import type { Identity } from "./Identity.ts"
import type { Outgoing } from "./Link.ts"
import type { LinkPool } from "./LinkPool.ts"
import { type Entry, Outbox } from "./Outbox.ts"
import { describeError, encodePayload, isPayloadProblem } from "./Payload.ts"
import type { Platform } from "./Platform.ts"
import { remedyFor } from "./remedyFor.ts"
import { reportFrame } from "./reportFrame.ts"
import { FRAME_BYTES, refusal, ReportMaker } from "./ReportMaker.ts"
import { loggerContext } from "./TraceContext.ts"
import type {
  CancelHandler,
  CancelOptions,
  Child,
  ChildOptions,
  InitOptions,
  On,
  Queued,
  ReportOptions,
  ShutdownOptions,
  Stats,
  TrailsNode,
  WaitOptions
} from "./TrailsNode.ts"
import { Pause } from "./Pause.ts"
import { statsOf } from "./statsOf.ts"
import { Waiting } from "./Waiting.ts"
import { warnBy } from "./warnBy.ts"

const MESSAGES = 10_000
const BYTES = 16 * 1024 * 1024
const SHUTDOWN_MS = 5000
/** Where the server names no time after which to try again, milliseconds. */
const AGAIN_MS = 1000
const QUEUED: Queued = { queued: true }

/**
 * A node that is part of a tree: what it reports is buffered and sent as the way to the server allows.
 * - L1 the first Result or Error, or `shutdown`, ends it: nothing is taken after that (PROTOCOL §6).
 * - L2 nothing here waits for the network, and nothing throws into the application.
 */
export class LiveNode implements TrailsNode {
  readonly isActive = true
  readonly #platform: Platform
  readonly #identity: Identity
  readonly #outbox: Outbox
  readonly #reports: ReportMaker
  readonly #attachment: Attachment
  readonly #children: Children
  readonly #answers: Answers
  readonly #commands: Commands
  readonly #warn: (text: string) => void
  readonly #onOver: () => void
  readonly #waiting: Waiting
  readonly #pause: Pause
  #maxFrame = DEFAULT_MAX_FRAME
  /** L1 */
  #ended: string | null = null
  #saidEnd = false
  #saidFarewell = false
  #refusal: string | null = null
  #isOver = false
  #shutdown: Promise<boolean> | null = null

  constructor(platform: Platform, pool: LinkPool, identity: Identity, options: InitOptions, onOver: () => void) {
    this.#platform = platform
    this.#identity = identity
    this.#onOver = onOver
    this.#waiting = new Waiting(platform)
    this.#pause = new Pause(platform)
    const warn = warnBy(platform, options)
    this.#warn = (text) => warn(`${identity.envelope.appName} (${identity.appId}): ${text}`)
    this.#reports = new ReportMaker(platform.wallClock, identity.envelope.traceparent)
    const { buffer, resume } = options
    const bounds = { messages: buffer?.messages ?? MESSAGES, bytes: buffer?.bytes ?? BYTES }
    this.#outbox = new Outbox(bounds, resume?.outbox)
    if (resume !== undefined) {
      this.#ended = "what another process has handed over"
      this.#saidEnd = resume.outbox.entries.some(({ kind }) => kind !== "Status")
      this.#saidFarewell = resume.outbox.entries.some(({ kind }) => kind === "disconnect")
    }
    const owner = {
      lastAcked: () => this.#outbox.lastAcked,
      onAttached: (session: Session, lastSeq: number) => this.#onAttached(session, lastSeq),
      onDetached: () => this.#onDetached(),
      onFrame: (frame: ServerFrame) => this.#onFrame(frame),
      onStopped: (error: ErrorFrame | null, reason: string) => this.#onStopped(error, reason),
      next: () => this.#next()
    }
    this.#attachment = new Attachment(platform, pool, identity, owner, {
      capable: () => this.#commands.capable,
      pingIntervalMs: options.pingIntervalMs ?? null,
      resume: resume?.place ?? null
    })
    this.#children = new Children(platform, identity, this.#attachment, {
      warn: this.#warn,
      onSettled: () => this.#waiting.look()
    })
    this.#answers = new Answers(
      this.appId,
      this.#attachment,
      () => this.#saidFarewell || this.#outbox.peek() === undefined,
      () => this.#end("cancelled")
    )
    this.#commands = new Commands(
      platform,
      {
        answer: (id, answer) => this.#answers.send(id, answer),
        answerLast: (id, answer) => this.#answers.sendLast(id, answer),
        room: () => this.#maxFrame - FRAME_BYTES,
        now: () => this.#attachment.clock.now,
        onChanged: () => this.#attachment.advertise(),
        warn: this.#warn
      },
      options
    )
    this.#attachment.start()
  }

  get appId(): string {
    return this.#identity.appId
  }

  get parentId(): string | null {
    return this.#identity.envelope.parentId
  }

  get name(): string {
    return this.#identity.envelope.appName
  }

  get traceparent(): string | null {
    return this.#identity.envelope.traceparent
  }

  get context(): Readonly<Record<string, string>> {
    return loggerContext(this.#identity.envelope)
  }

  status(payload: unknown, options: ReportOptions = {}): Queued {
    return this.report("Status", payload, options)
  }

  result(payload?: unknown, options: ReportOptions = {}): Queued {
    const queued = this.report("Result", payload, options)
    if (!queued.queued && (queued.reason === "too_large" || queued.reason === "not_json"))
      this.report("Error", describeError(`the result could not be sent: ${queued.message}`), options)
    return queued
  }

  error(error: unknown, detail?: unknown, options: ReportOptions = {}): Queued {
    const queued = this.report("Error", describeError(error, detail), options)
    if (!queued.queued && (queued.reason === "too_large" || queued.reason === "not_json"))
      return this.report(
        "Error",
        describeError(error, { problem: `the detail could not be sent: ${queued.message}` }),
        {}
      )
    return queued
  }

  createChild(name: string, options: ChildOptions = {}): Promise<Child> {
    return this.#children.create(name, options)
  }

  onCancel(handler: CancelHandler, options?: CancelOptions | null): void {
    this.#commands.onCancel(handler, options ?? null)
  }

  readonly on: On = (action: string, ...given: ReadonlyArray<unknown>): (() => void) => this.#commands.on(action, given)

  ready({ timeoutMs }: WaitOptions = {}): Promise<boolean> {
    const done = () => this.#attachment.attachments > 0 || this.#isOver
    return this.#waiting.until(done, timeoutMs).then(() => this.#attachment.attachments > 0)
  }

  stats(): Stats {
    return statsOf(this.#attachment, this.#outbox, this.#refusal, this.#isOver)
  }

  shutdown({ timeoutMs = SHUTDOWN_MS }: ShutdownOptions = {}): Promise<boolean> {
    this.#shutdown ??= this.#shutDown(timeoutMs)
    return this.#shutdown
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown()
  }

  /** The process dies of this: an Error, unless it has ended already. */
  fail(error: unknown): void {
    if (this.#ended === null) this.error(error)
    this.#attachment.flush()
  }

  /** The process ends with this turn. */
  exit(code: number): void {
    this.#end(code === 0 ? "completed" : `exit code ${code}`)
    this.#attachment.flush()
  }

  /**
   * Gives this node up without a word to the server, for another process to go on (`init({ resume, seed })`). Null: it is
   * over already.
   */
  handOver(): HandOver | null {
    if (this.#isOver) return null
    this.#outbox.rewind()
    const handOver = { info: this.#identity.info, place: this.#attachment.place, outbox: this.#outbox.state }
    this.#over()
    return handOver
  }

  async #shutDown(timeoutMs: number): Promise<boolean> {
    const { monotonic } = this.#platform
    const until = monotonic() + timeoutMs
    const before = this.#outbox.refused
    this.#attachment.hurry()
    // The farewell ends the session, and nobody would hear the answers to declarations any more.
    await this.#waiting.until(() => this.#isOver || this.#children.undeclared === 0, timeoutMs)
    this.#end("completed")
    await this.#waiting.until(() => this.#isOver || this.#isSettled(), Math.max(0, until - monotonic()))
    const isStored = this.#refusal === null && this.#isSettled() && this.#outbox.refused === before
    this.#over()
    return isStored
  }

  #isSettled(): boolean {
    return this.#outbox.size === 0 && this.#children.undeclared === 0
  }

  /** For whoever writes the payload of an Error himself, too: `error` makes one of a thrown value. */
  report(kind: MsgType, value: unknown, options: ReportOptions): Queued {
    if (this.#ended !== null) {
      return this.#refusal === null
        ? refusal("ended", `${this.#ended} came before: nothing is reported after it`)
        : refusal("inactive", this.#refusal)
    }
    const hook = kind === "Status" ? null : this.#commands.hook
    const labels = hook === null ? options : { correlationId: hook, ...options }
    const report = this.#reports.report(kind, value, labels, this.#maxFrame)
    if ("queued" in report) return report
    if (kind !== "Status") {
      this.#ended = kind === "Result" ? "a result" : "an error"
      this.#saidEnd = true
    }
    const isQueued = this.#outbox.offer(report)
    this.#attachment.wake()
    return isQueued ? QUEUED : refusal("full", "the buffer is full of reports that are under way")
  }

  /** The farewell, unless a Result or an Error has said it. */
  #end(reason: string): void {
    this.#ended ??= "the end"
    if (this.#saidEnd || this.#isOver) return
    this.#saidEnd = true
    this.#saidFarewell = true
    // Whoever shuts down in the cancel hook, or while its answer waits for its turn, has been cancelled all the same.
    const isCancelled = this.#commands.hook !== null || this.#answers.isWaiting
    this.#outbox.offer(this.#reports.farewell(isCancelled ? "cancelled" : reason))
    this.#attachment.wake()
  }

  #onAttached({ restricted }: Session, lastSeq: number): void {
    this.#outbox.settle(lastSeq)
    this.#maxFrame = this.#attachment.maxFrame ?? this.#maxFrame
    if (restricted) this.#ended ??= "the command to stop"
    this.#children.onAttached()
    this.#waiting.look()
  }

  #onDetached(): void {
    this.#pause.end()
    // The link may go on without this node: what it had under way must not take up the others' room.
    this.#attachment.credit(this.#outbox.rewind())
    this.#answers.drop()
  }

  #next(): Outgoing | null {
    const { session } = this.#attachment
    if (session === null || this.#pause.isOn) return null
    for (let entry = this.#outbox.peek(); entry !== undefined; entry = this.#outbox.peek()) {
      // In a session for stopping alone, progress is refused (PROTOCOL §4); a server may grant less than we assumed.
      const isUnwanted = entry.kind === "Status" && session.restricted
      if (!isUnwanted && entry.size <= this.#maxFrame) {
        this.#outbox.take()
        // In another turn: it is on its way then.
        if (this.#answers.isWaiting) this.#platform.soon(() => this.#answers.flush())
        return { message: reportFrame(this.#identity, session.incarnation, entry), size: entry.size }
      }
      this.#outbox.dropWaiting()
      if (!isUnwanted) this.#tooLarge(entry)
    }
    this.#answers.flush()
    return null
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case "ack":
        if (frame.incarnation === this.#attachment.session?.incarnation) {
          this.#attachment.credit(this.#outbox.settle(frame.seq))
          this.#waiting.look()
          // The server has ended the session with it: coming back would only be told that it is over.
          if (this.#saidFarewell && this.#outbox.size === 0) this.#over()
        }
        return
      case "declared":
        return this.#children.onDeclared(frame.child_id)
      case "event":
        return this.#children.onEvent(frame)
      case "control":
        return this.#commands.onControl(frame, this.#attachment.session)
      case "error":
        return this.#onError(frame)
    }
  }

  #onError(error: ErrorFrame): void {
    if (error.child_id !== undefined) return this.#children.onRefused(error.child_id, error)
    if (error.seq === undefined) {
      if (!this.#children.onUnsubscribed(error)) this.#warn(`${error.code}: ${error.message}`)
      return
    }
    if (error.retryable) {
      // Every later seq is refused until this one has come again (PROTOCOL §6).
      this.#attachment.credit(this.#outbox.rewind(error.seq))
      return this.#pause.begin(error.retry_after_ms ?? AGAIN_MS, () => this.#attachment.wake())
    }
    const entry = this.#outbox.refuse(error.seq)
    if (entry === null) return
    this.#attachment.credit({ frames: 1, bytes: entry.size })
    this.#warn(`a ${entry.kind} was refused: ${error.code}: ${error.message}`)
    if (error.code === "terminal") this.#ended ??= "the server's end of this node"
    else if (entry.kind === "Result") this.#sayInstead(`${error.code}: ${error.message}`)
    this.#waiting.look()
  }

  #tooLarge(entry: Entry): void {
    const reason = `a ${entry.kind} of about ${entry.size} bytes: this server takes frames of ${this.#maxFrame} bytes`
    this.#warn(reason)
    if (entry.kind === "Result") this.#sayInstead(reason)
    this.#waiting.look()
  }

  /** The Result will not be stored: an Error says so in its place. */
  #sayInstead(reason: string): void {
    const payload = encodePayload(describeError(`the result could not be sent: ${reason}`))
    if (isPayloadProblem(payload)) return
    this.#outbox.offer(this.#reports.message("Error", payload))
    this.#attachment.wake()
  }

  #onStopped(error: ErrorFrame | null, reason: string): void {
    // A node that has ended is told up to where it is stored.
    if (error?.code === "terminal" && error.seq !== undefined) this.#outbox.settle(error.seq)
    const isDone = error?.code === "terminal" && this.#outbox.size === 0
    if (error !== null && !isDone) {
      const remedy = remedyFor(error.code)
      this.#refusal = remedy === undefined ? reason : `${reason}. ${remedy}`
      this.#warn(`nothing more is sent: ${this.#refusal}`)
    }
    this.#ended ??= "the end"
    this.#outbox.abandon()
    this.#over()
  }

  #over(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#ended ??= "the end"
    this.#pause.end()
    this.#attachment.stop()
    this.#children.close()
    this.#outbox.abandon()
    this.#onOver()
    this.#waiting.look()
  }
}
