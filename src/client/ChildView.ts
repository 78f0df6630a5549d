import { decodeBase64 } from "../protocol/Base64.ts"
import type { TreeEvent } from "../protocol/TreeEvent.ts"
import type { Outcome } from "./TrailsNode.ts"

const ENDS: Readonly<Record<string, Outcome["state"]>> = {
  result: "done",
  error: "error",
  cancelled: "cancelled",
  start_failed: "start_failed",
  crash: "crashed",
  lost_contact: "lost_contact"
}

const FINAL: ReadonlySet<string> = new Set(["done", "error", "cancelled", "start_failed"])

/** A verdict from silence ends nothing for good: these say that the child lives (PROTOCOL §7). */
const ALIVE: ReadonlySet<string> = new Set(["connected", "recovered", "rebound", "status"])

interface ChildFrame {
  readonly header?: { readonly msg_type?: unknown }
  readonly payload?: unknown
  readonly bytes?: unknown
}

const frameOf = (event: TreeEvent): ChildFrame => {
  try {
    return event.data.frame === undefined ? {} : (JSON.parse(event.data.frame) as ChildFrame)
  } catch {
    return {}
  }
}

const valueOf = ({ bytes, payload }: ChildFrame): unknown =>
  payload === undefined && typeof bytes === "string" ? decodeBase64(bytes) : payload

const errorOf = (value: unknown): { message: string; detail: unknown } =>
  typeof value === "object" && value !== null && "message" in value
    ? { message: String(value.message), detail: "detail" in value ? value.detail : null }
    : { message: String(value), detail: null }

/** How a child ends by this event; null: it does not. */
export const outcomeOf = (event: TreeEvent): Outcome | null => {
  const state = ENDS[event.data.kind]
  if (state === undefined) return null
  const { facts } = event.data
  const frame = frameOf(event)
  const type = frame.header?.msg_type
  const reason = facts?.["reason"] ?? facts?.["crash_type"] ?? facts?.["disconnect"]
  return {
    state,
    ...(type === "Result" ? { result: valueOf(frame) } : {}),
    ...(type === "Error" ? { error: errorOf(valueOf(frame)) } : {}),
    ...(typeof reason === "string" ? { reason } : {}),
    ...(facts?.["forced"] === true ? { forced: true } : {}),
    event
  }
}

/**
 * What a parent has seen of one child. Events may come twice and never out of order: the counter `n` tells.
 */
export class ChildView {
  readonly appId: string
  #seen = 0
  #outcome: Outcome | null = null
  readonly #waiters = new Set<(outcome: Outcome | null) => void>()
  readonly #listeners = new Set<(event: TreeEvent) => void>()

  constructor(appId: string) {
    this.appId = appId
  }

  get outcome(): Outcome | null {
    return this.#outcome
  }

  /** Somebody wants to hear of it. */
  get isWatched(): boolean {
    return this.#waiters.size > 0 || this.#listeners.size > 0
  }

  get isFinal(): boolean {
    return this.#outcome !== null && FINAL.has(this.#outcome.state)
  }

  add(waiter: (outcome: Outcome | null) => void): () => void {
    this.#waiters.add(waiter)
    return () => this.#waiters.delete(waiter)
  }

  listen(listener: (event: TreeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onEvent(event: TreeEvent, warn: (text: string) => void): void {
    if (event.data.n <= this.#seen) return
    this.#seen = event.data.n
    const outcome = outcomeOf(event)
    if (outcome !== null && !this.isFinal) this.#outcome = outcome
    else if (ALIVE.has(event.data.kind) && !this.isFinal) this.#outcome = null
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        warn(`a listener of child ${this.appId} failed: ${String(error)}`)
      }
    }
    if (this.#outcome !== null) this.#settle(this.#outcome)
  }

  /** The parent has ended: nobody will tell any more. */
  close(): void {
    this.#settle(null)
    this.#listeners.clear()
  }

  #settle(outcome: Outcome | null): void {
    for (const waiter of [...this.#waiters]) waiter(outcome)
  }
}
