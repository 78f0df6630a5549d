import type { Room } from "../actors/SessionPort.ts"
import type { ErrorFrame, SubscribeFrame } from "../protocol/Frames.ts"
import type { TreeLogRow } from "../storage/TreeLog.ts"
import type { TreeCursor } from "./TreeCursor.ts"
import type { TreeSubject } from "./TreeReader.ts"

/** Who is sent what a subscription reads. */
export interface Subscriber {
  readonly room: Room
  /** Calls `then` once when there may be room again; never when the socket ends first. */
  readonly whenRoom: (then: () => void) => void
  /** `cursor`: where whoever has got this row goes on. */
  readonly sendRow: (row: TreeLogRow, cursor: TreeCursor) => void
  /** Its subscription has ended, which it did not ask for. */
  readonly sendEnd: (error: ErrorFrame) => void
}

/** A node's session. */
export interface SubscribingSession extends Subscriber {
  readonly appId: string
}

/** Who serves `subscribe`, as sessions see it. */
export interface Watcher {
  /** Begins, or begins anew when the session has one of the same scope. Null: done; else why not. */
  readonly subscribe: (session: SubscribingSession, frame: SubscribeFrame) => ErrorFrame | null
  /** Its peer has gone. */
  readonly end: (subscriber: Subscriber) => void
}

/**
 * - `idle`: has seen all that there was; a hint or the sweep wakes it.
 * - `queued`: waits for its turn.
 * - `pulling`: reads and sends a page.
 * - `starved`: its peer does not read; goes on when there is room.
 */
export type SubscriptionState = "idle" | "queued" | "pulling" | "starved"

/** One reader of the log. Holds a cursor and no rows. */
export class Subscription {
  readonly subscriber: Subscriber
  readonly subject: TreeSubject
  state: SubscriptionState = "idle"
  /** Behind the last row that was sent or is not wanted, or what the client named. */
  cursor: TreeCursor
  /** The client's cursor is known to be one of this log's. */
  isChecked: boolean
  /** There may be more than the page that is being read. */
  isStirred = false
  isOver = false
  /** Raised with each `restart`: a page that was read for an earlier one is not sent. */
  generation = 0
  /** The node's own counter for which the sweep has woken it: it may be of a row that is not to be seen. */
  ownN = 0

  constructor(subscriber: Subscriber, subject: TreeSubject, cursor: TreeCursor, isChecked: boolean) {
    this.subscriber = subscriber
    this.subject = subject
    this.cursor = cursor
    this.isChecked = isChecked
  }

  restart(cursor: TreeCursor): void {
    this.cursor = cursor
    this.isChecked = cursor.id === 0
    this.generation++
  }
}
