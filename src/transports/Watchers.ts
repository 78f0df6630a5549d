import { Context, Effect, Layer } from "effect"
import type { ErrorFrame } from "../protocol/Frames.ts"
import type { TreeLogRow } from "../storage/TreeLog.ts"
import { type ChildSpec, repeating } from "../supervision/ChildSpec.ts"
import { Telemetry } from "../Telemetry.ts"
import { jsonText } from "./rest/JsonText.ts"
import { Problem, tryLater } from "./rest/Problem.ts"
import { SOCKET_LIMITS, type SocketLimits } from "./SocketLimits.ts"
import { SseStream } from "./SseStream.ts"
import type { Room } from "../actors/SessionPort.ts"
import type { Subscriber, Subscription } from "./Subscription.ts"
import { type TreeCursor, treeCursorText } from "./TreeCursor.ts"
import { eventOf } from "./TreeEvents.ts"
import type { TreeSubject } from "./TreeReader.ts"
import { Watch } from "./Watch.ts"
import type { EndReason, Exchange, WatchOutput } from "./WatchOutput.ts"
import { makeUpgrade, WatchSocket } from "./WatchSocket.ts"

const stopping = new Problem({
  status: 503,
  code: "going_away",
  detail: "This server is stopping; watch again in a moment, from the last cursor",
  headers: { "retry-after": "1", connection: "close" }
})
const crowded = tryLater(
  "overloaded",
  "This server has all who watch that it takes; watch later, or at another replica"
)

/** One who watches, as the subscription sees him. */
class Watching implements Subscriber {
  readonly output: WatchOutput
  /** null: before it has begun. */
  subscription: Subscription | null = null

  constructor(makeOutput: (onGone: () => void) => WatchOutput, onGone: (self: Watching) => void) {
    this.output = makeOutput(() => onGone(this))
  }

  get room(): Room {
    return this.output.room
  }

  whenRoom(then: () => void): void {
    this.output.whenRoom(then)
  }

  sendRow(row: TreeLogRow, cursor: TreeCursor): void {
    this.output.event(treeCursorText(cursor), jsonText(eventOf(row)))
  }

  sendEnd(_error: ErrorFrame): void {
    this.end("failed; come again")
  }

  tellCursor(): void {
    if (this.subscription !== null && this.room === "some") this.output.cursor(this.#cursor(this.subscription))
  }

  end(reason: EndReason): void {
    if (this.subscription !== null) this.output.end(this.#cursor(this.subscription), reason)
  }

  #cursor({ cursor }: Subscription): string {
    return treeCursorText(cursor)
  }
}

/**
 * Those who watch over HTTP, by Server-Sent Events or a WebSocket. Invariants:
 * - G1 one holds a cursor and what waits for his socket, which is bounded: the rest waits in the log (W3).
 * - G2 whoever leaves, for whatever reason, is forgotten at once.
 * - G3 all are told from time to time how far the log has been read for them, also when there was nothing for them in it.
 */
export class Watchers extends Context.Service<
  Watchers,
  {
    /** Answers the request with what comes behind the cursor, until either side ends it. */
    readonly open: (subject: TreeSubject, after: TreeCursor, exchange: Exchange) => Effect.Effect<void, Problem>
    /** All streams end now, and nobody is let in any more. */
    readonly close: Effect.Effect<void>
    readonly children: ReadonlyArray<ChildSpec>
  }
>()("trails/transports/Watchers") {
  static readonly layerWith = (limits: SocketLimits): Layer.Layer<Watchers, never, Watch | Telemetry> =>
    Layer.effect(Watchers, make(limits))

  static readonly layer = Layer.suspend(() => Watchers.layerWith(SOCKET_LIMITS))
}

const make = Effect.fnUntraced(function* (limits: SocketLimits) {
  const watch = yield* Watch
  const telemetry = yield* Telemetry
  const upgrade = makeUpgrade(limits.closeMs)
  const all = new Set<Watching>()
  let closed = false

  // G2
  const leave = (watching: Watching): void => {
    all.delete(watching)
    watch.end(watching)
  }

  /** null: the peer has gone, or wanted something else; it has its answer. */
  const outputFor = ({ head, request, response }: Exchange): ((onGone: () => void) => WatchOutput) | null => {
    const { eventBacklogBytes } = limits
    if (head === null) return (onGone) => new SseStream(response, eventBacklogBytes, onGone)
    const stream = request.socket
    response.detachSocket(stream)
    const socket = upgrade(request, stream, head)
    return socket === null ? null : (onGone) => new WatchSocket(socket, stream, eventBacklogBytes, onGone)
  }

  const open = (subject: TreeSubject, after: TreeCursor, exchange: Exchange): Effect.Effect<void, Problem> =>
    Effect.suspend(() => {
      if (closed) return Effect.fail(stopping)
      if (all.size >= limits.watchers) return Effect.fail(crowded)
      const makeOutput = outputFor(exchange)
      if (makeOutput === null) return Effect.void
      const watching = new Watching(makeOutput, leave)
      all.add(watching)
      watching.output.open(treeCursorText(after))
      watching.subscription = watch.follow(watching, subject, after)
      return Effect.void
    })

  const close = Effect.sync(() => {
    closed = true
    for (const watching of [...all]) {
      watching.end("going away")
      leave(watching)
    }
  })
  yield* Effect.addFinalizer(() => close)

  // G3
  const beat = repeating(
    "watch/beat",
    Effect.andThen(
      Effect.sleep(limits.watchBeatMs),
      Effect.sync(() => {
        for (const watching of all) watching.tellCursor()
      })
    )
  )

  telemetry.gauge("watchers", () => all.size)

  return Watchers.of({ open, close, children: [beat] })
})
