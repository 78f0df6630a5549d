import {
  decodeEnvelope,
  encodeEnvelope,
  encodeInfo,
  type EnvelopeFields,
  isEnvelopeProblem
} from "../protocol/Envelope.ts"
import type { ErrorFrame, EventFrame } from "../protocol/Frames.ts"
import { attachMember, TAGS } from "../protocol/SignedFrame.ts"
import { parseUuid } from "../protocol/Uuid.ts"
import type { Attachment } from "./Attachment.ts"
import { ChildView } from "./ChildView.ts"
import type { Identity } from "./Identity.ts"
import { idleChild } from "./IdleNode.ts"
import type { Platform } from "./Platform.ts"
import { childTraceparent } from "./TraceContext.ts"
import type { Child, ChildOptions, Declared, Outcome, WaitOptions } from "./TrailsNode.ts"

/** Declarations without an answer, at most. */
const DECLARATIONS = 10_000

/** How long a declaration keeps the process alive for its answer, milliseconds. */
const ANSWER_MS = 10_000

/** Where the server names no time after which to declare again, milliseconds. */
const AGAIN_MS = 1000

interface Declaration {
  readonly info: string
  readonly replaces: string | null
  readonly settle: (declared: Declared) => void
  readonly letGo: () => void
}

const INVALID = Symbol("invalid")

const replacedBy = ({ replaces }: ChildOptions): string | null | typeof INVALID =>
  replaces == null ? null : (parseUuid(typeof replaces === "object" ? replaces.appId : replaces) ?? INVALID)

export interface ChildrenOptions {
  readonly warn: (text: string) => void
  /** A declaration was answered. */
  readonly onSettled: () => void
}

/**
 * A node's children: intents that are declared until the server answers, and one subscription to what becomes of them.
 * - D1 a declaration is repeated in each session until it is answered; the same envelope twice is one intent.
 * - D2 the subscription begins when the first child is watched, with what was before, and goes on from the last event
 *   handled, in each session anew. From then on every child whose handle somebody still holds is followed, so that one
 *   that is watched late has missed nothing. What comes twice is told once (`ChildView`).
 */
export class Children {
  readonly #platform: Platform
  readonly #identity: Identity
  readonly #attachment: Attachment
  readonly #options: ChildrenOptions
  readonly #declarations = new Map<string, Declaration>()
  readonly #views = new Map<string, WeakRef<ChildView>>()
  readonly #forgotten = new FinalizationRegistry<string>((appId) => {
    // Its place may have been taken meanwhile.
    if (this.#views.get(appId)?.deref() === undefined) this.#views.delete(appId)
  })
  /** Views that somebody waits for, whether or not he holds the handle. */
  readonly #watched = new Set<ChildView>()
  #subscribed = false
  /** Of the last event handled. */
  #cursor: string | null = null
  #closed = false

  constructor(platform: Platform, identity: Identity, attachment: Attachment, options: ChildrenOptions) {
    this.#platform = platform
    this.#identity = identity
    this.#attachment = attachment
    this.#options = options
  }

  /** Declarations that the server has not answered. */
  get undeclared(): number {
    return this.#declarations.size
  }

  async create(name: string, options: ChildOptions): Promise<Child> {
    const appId = options.appId ?? this.#platform.newId()
    const info = await this.#envelope(name, appId, options)
    const envelope = decodeEnvelope(info)
    const refuse = (code: string, message: string): Child => {
      this.#options.warn(`child ${name}: ${message}`)
      return idleChild(appId, name, { ok: false, code, message })
    }
    if (this.#closed) return refuse("ended", "its parent has ended")
    if (isEnvelopeProblem(envelope)) return refuse("bad_frame", envelope.problem.replace(/^TRAILS_INFO: /, ""))
    const replaces = replacedBy(options)
    // The server could not tell whose refusal it is.
    if (replaces === INVALID) return refuse("bad_frame", "replaces must be a child, or its UUID")
    if (this.#declarations.size >= DECLARATIONS)
      return refuse("overloaded", `${DECLARATIONS} declarations wait already`)
    const declared = new Promise<Declared>((settle) => {
      const letGo = this.#platform.keepAlive()
      const stopTimer = this.#platform.later(ANSWER_MS, letGo)
      const before = this.#declarations.get(envelope.appId)
      before?.letGo()
      this.#declarations.set(envelope.appId, {
        info,
        replaces,
        // Of two declarations of one child the answer to either is for both.
        settle: (answer) => {
          before?.settle(answer)
          settle(answer)
        },
        letGo: () => {
          stopTimer()
          letGo()
        }
      })
    })
    this.#declare(envelope.appId)
    return this.#handle(envelope.appId, name, info, declared)
  }

  /** A session begins. */
  onAttached(): void {
    for (const childId of this.#declarations.keys()) this.#declare(childId)
    if (this.#subscribed) this.#subscribe()
  }

  onDeclared(childId: string): void {
    this.#settle(childId, { ok: true })
  }

  onRefused(childId: string, error: ErrorFrame): void {
    if (error.retryable) this.#platform.later(error.retry_after_ms ?? AGAIN_MS, () => this.#declare(childId))
    else this.#settle(childId, { ok: false, code: error.code, message: error.message })
  }

  onEvent({ cursor, event }: EventFrame): void {
    this.#cursor = cursor
    const view = this.#views.get(event.data.app_id)?.deref()
    view?.onEvent(event, this.#options.warn)
  }

  /** The subscription may have been refused with this; false: it is about something else. */
  onUnsubscribed({ code, retryable, retry_after_ms }: ErrorFrame): boolean {
    // What is bad in a `subscribe` can only be its cursor.
    const isOurs = code === "overloaded" || code === "unavailable" || (code === "bad_frame" && this.#cursor !== null)
    if (!this.#subscribed || !isOurs) return false
    if (!retryable) this.#cursor = null
    this.#platform.later(retry_after_ms ?? AGAIN_MS, () => this.#subscribe())
    return true
  }

  close(): void {
    this.#closed = true
    for (const childId of [...this.#declarations.keys()])
      this.#settle(childId, { ok: false, code: "ended", message: "its parent ended before the server answered" })
    for (const view of this.#watched) view.close()
    this.#watched.clear()
    this.#views.clear()
  }

  async #envelope(name: string, appId: string, options: ChildOptions): Promise<string> {
    const { envelope } = this.#identity
    const { cryptography } = this.#platform
    const trace =
      options.traceparent ??
      (envelope.traceparent === null ? null : childTraceparent(envelope.traceparent, cryptography.random))
    const fields: EnvelopeFields = {
      appId,
      parentId: envelope.appId,
      appName: name,
      serverEp: envelope.serverEp,
      serverPubKey: envelope.serverPubKey,
      secLevel: options.secLevel ?? envelope.secLevel,
      scheduledAt: Math.round(this.#attachment.clock.now),
      ...(options.deadline === undefined ? {} : { startDeadline: options.deadline }),
      roleRefs: options.roleRefs ?? [],
      grants: options.grants ?? [],
      tags: options.tags ?? null,
      ...(options.supervision === undefined ? {} : { supervision: options.supervision }),
      childKey: options.childKey ?? null,
      traceparent: trace,
      tracestate: envelope.tracestate
    }
    const json = encodeEnvelope(fields)
    return encodeInfo(attachMember(json, "ticket", await this.#identity.signature(TAGS.ticket, json)))
  }

  #handle(appId: string, name: string, info: string, declared: Promise<Declared>): Child {
    const view = this.#viewOf(appId)
    return {
      appId,
      name,
      info,
      // The agent of a `trails run` around this process would take its child for the command's.
      env: { TRAILS_INFO: info, TRAILS_AGENT: "" },
      declared,
      wait: (options = {}) => this.#wait(view, options),
      onEvent: (listener) => {
        if (this.#closed) return () => {}
        const stop = view.listen(listener)
        this.#watch(view)
        return () => {
          stop()
          this.#release(view)
        }
      }
    }
  }

  /** One for all handles of a child: what has been seen of it holds for each. */
  #viewOf(appId: string): ChildView {
    const known = this.#views.get(appId)?.deref()
    if (known !== undefined) return known
    const view = new ChildView(appId)
    this.#views.set(appId, new WeakRef(view))
    this.#forgotten.register(view, appId)
    return view
  }

  #wait(view: ChildView, { timeoutMs }: WaitOptions): Promise<Outcome | null> {
    if (view.outcome !== null || this.#closed) return Promise.resolve(view.outcome)
    return new Promise((resolve) => {
      const letGo = this.#platform.keepAlive()
      const settle = (outcome: Outcome | null): void => {
        forget()
        stopTimer()
        letGo()
        this.#release(view)
        resolve(outcome)
      }
      const forget = view.add(settle)
      const stopTimer = timeoutMs === undefined ? () => {} : this.#platform.later(timeoutMs, () => settle(null))
      this.#watch(view)
    })
  }

  /** D2 */
  #watch(view: ChildView): void {
    this.#watched.add(view)
    if (this.#subscribed) return
    this.#subscribed = true
    this.#subscribe()
  }

  #release(view: ChildView): void {
    if (!view.isWatched) this.#watched.delete(view)
  }

  #declare(childId: string): void {
    const declaration = this.#declarations.get(childId)
    const { session } = this.#attachment
    if (declaration === undefined || session === null || session.restricted) return
    this.#attachment.send({
      type: "declare",
      app_id: this.#identity.appId,
      incarnation: session.incarnation,
      info: declaration.info,
      ...(declaration.replaces === null ? {} : { replaces: declaration.replaces })
    })
  }

  #subscribe(): void {
    const { session } = this.#attachment
    if (session === null || session.restricted) return
    this.#attachment.send({
      type: "subscribe",
      app_id: this.#identity.appId,
      incarnation: session.incarnation,
      scope: "children",
      ...(this.#cursor === null ? {} : { from: this.#cursor })
    })
  }

  #settle(childId: string, declared: Declared): void {
    const declaration = this.#declarations.get(childId)
    if (declaration === undefined) return
    this.#declarations.delete(childId)
    declaration.letGo()
    declaration.settle(declared)
    this.#options.onSettled()
  }
}
