import type { Room } from "../actors/SessionPort.ts"
import type { ErrorFrame, ServerFrame, SubscribeFrame } from "../protocol/Frames.ts"
import type { TreeScope } from "../storage/TreeLog.ts"

/** What a subscription needs of a session. */
export interface Subscriber {
  readonly appId: string
  readonly isEnded: boolean
  readonly room: Room
  /** Calls `then` once when there may be room again; never when the socket ends first. */
  readonly whenRoom: (then: () => void) => void
  readonly send: (frame: ServerFrame) => unknown
}

/** Who serves `subscribe`, as sessions see it. */
export interface Watcher {
  /** Begins, or begins anew when the session has one of the same scope. Null: done; else why not. */
  readonly subscribe: (subscriber: Subscriber, frame: SubscribeFrame) => ErrorFrame | null
  /** The session has ended. */
  readonly end: (subscriber: Subscriber) => void
}

/**
 * - `idle`: has seen all that there was; a hint or the sweep wakes it.
 * - `queued`: waits for its turn.
 * - `pulling`: reads and sends a page.
 * - `starved`: its peer does not read; goes on when there is room.
 */
export type SubscriptionState = "idle" | "queued" | "pulling" | "starved"

const CURSOR = /^(?:0|[1-9][0-9]{0,15})$/

/** The id in a cursor that a client sends; null: it is none of ours. Absent: the log's beginning. */
export const parseCursor = (from: string | undefined): number | null => {
  if (from === undefined) return 0
  const id = Number(from)
  return CURSOR.test(from) && Number.isSafeInteger(id) ? id : null
}

/** One session's reader of the log below its node. Holds a cursor and no rows. */
export class Subscription {
  readonly subscriber: Subscriber
  readonly scope: TreeScope
  state: SubscriptionState = "idle"
  /** The last row that was sent, or that the client named. */
  cursor: number
  /** The client's cursor is known to be one of this log's. */
  isChecked: boolean
  /** There may be more than the page that is being read. */
  isStirred = false
  isOver = false
  /** Raised with each `restart`: a page that was read for an earlier one is not sent. */
  generation = 0

  constructor(subscriber: Subscriber, scope: TreeScope, cursor: number) {
    this.subscriber = subscriber
    this.scope = scope
    this.cursor = cursor
    this.isChecked = cursor === 0
  }

  restart(cursor: number): void {
    this.cursor = cursor
    this.isChecked = cursor === 0
    this.generation++
  }
}
