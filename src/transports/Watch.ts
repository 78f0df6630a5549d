import { Cause, Context, Effect, Latch, Layer, Queue } from "effect"
import type { ErrorFrame } from "../protocol/Frames.ts"
import { Settings } from "../Settings.ts"
import { CommitHints, type OnCommit } from "../storage/CommitHints.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { TreeLog } from "../storage/TreeLog.ts"
import { type ChildSpec, defaultIntensity } from "../supervision/ChildSpec.ts"
import { Telemetry } from "../Telemetry.ts"
import { errorFrame } from "./SocketHub.ts"
import { SOCKET_LIMITS, type SocketLimits } from "./SocketLimits.ts"
import { makeSweeper } from "./Sweeper.ts"
import { parseCursor, type Subscriber, Subscription, type Watcher } from "./Subscription.ts"
import { eventFrame } from "./TreeEvents.ts"

/** Pages read at once: few, since the database has other things to do. */
const PULLERS = 3
/** Rows of a page. */
const PAGE = 256
/** Events signed and written before the loop is let go. */
const BURST = 32
/** What is hinted within so long is read together. */
const PULSE_MS = 5
/** More new rows than these between two sweeps: looking through them costs more than asking everybody. */
const MANY = 20_000
const RETRY_AFTER_MS = 1000

/**
 * The server's side of `subscribe` (PROTOCOL §3, §11): every subscription pulls the log below its node behind its own
 * cursor, so that history and live are one thing. Invariants:
 * - W1 a subscription is in the queue or in a turn at most once: its events go out in commit order.
 * - W2 the cursor moves with the event that is sent and with nothing else: whatever fails, nothing is left out.
 * - W3 nothing is read for a peer that does not read, and no row is kept for it: what did not go out is read again.
 * - W4 a hint only wakes, and the sweep finds what no hint told of, by whichever replica it was committed. Another replica's
 *   hint makes the sweep look at once.
 */
export class Watch extends Context.Service<
  Watch,
  Watcher & {
    /** For the supervisor: no event is sent before they run. */
    readonly children: ReadonlyArray<ChildSpec>
    readonly stats: () => { readonly subscriptions: number; readonly starved: number }
  }
>()("trails/transports/Watch") {
  static readonly layerWith = (
    limits: SocketLimits
  ): Layer.Layer<Watch, never, TreeLog | CommitHints | Settings | Telemetry> => Layer.effect(Watch, make(limits))

  static readonly layer = Layer.suspend(() => Watch.layerWith(SOCKET_LIMITS))
}

const make = Effect.fnUntraced(function* (limits: SocketLimits) {
  const log = yield* TreeLog
  const hints = yield* CommitHints
  const settings = yield* Settings
  const telemetry = yield* Telemetry
  const eventLimits = {
    // Neither more than the peer takes, nor so much that it is cut for what waits for it.
    maxFrame: Math.min(settings.maxFrame, limits.outboundBytes / 4),
    restUrl: settings.publicUrl?.replace(/\/$/, "") ?? ""
  }

  const sessions = new Map<Subscriber, Array<Subscription>>()
  const watched = new Map<string, Set<Subscription>>()
  const woken = new Set<Subscription>()
  const pulse = yield* Latch.make()
  const ready = yield* Queue.unbounded<Subscription>()
  let unlisten = (): void => {}
  let count = 0
  let starved = 0
  /** How far the sweep has looked; null: nobody was there for whom to look. */
  let swept: number | null = null

  const wake = (subscription: Subscription): void => {
    if (subscription.state === "pulling") subscription.isStirred = true
    else if (subscription.state === "idle") {
      subscription.state = "queued"
      woken.add(subscription)
      pulse.openUnsafe()
    }
  }

  /** W4 */
  const onCommit: OnCommit = (path) => {
    for (let i = 0; i < path.length - 1; i++) {
      const found = watched.get(path[i]!)
      if (found === undefined) continue
      for (const one of found) if (one.scope === "subtree" || i === path.length - 2) wake(one)
    }
  }

  const begin = (subscriber: Subscriber, scope: Subscription["scope"], cursor: number): void => {
    const subscription = new Subscription(subscriber, scope, cursor)
    if (count++ === 0) unlisten = hints.listen(onCommit, sweeper.stir)
    const own = sessions.get(subscriber)
    if (own === undefined) sessions.set(subscriber, [subscription])
    else own.push(subscription)
    const others = watched.get(subscriber.appId)
    if (others === undefined) watched.set(subscriber.appId, new Set([subscription]))
    else others.add(subscription)
    wake(subscription)
  }

  const drop = (subscription: Subscription): void => {
    if (subscription.isOver) return
    const { subscriber } = subscription
    subscription.isOver = true
    if (subscription.state === "starved") starved--
    woken.delete(subscription)
    const rest = (sessions.get(subscriber) ?? []).filter((one) => one !== subscription)
    if (rest.length === 0) sessions.delete(subscriber)
    else sessions.set(subscriber, rest)
    const others = watched.get(subscriber.appId)
    others?.delete(subscription)
    if (others?.size === 0) watched.delete(subscriber.appId)
    if (--count === 0) unlisten()
  }

  const queue = (subscription: Subscription): void => {
    subscription.state = "queued"
    Queue.offerUnsafe(ready, subscription)
  }

  const feed = (subscription: Subscription): void => {
    if (subscription.isOver || subscription.state !== "starved") return
    starved--
    queue(subscription)
  }

  const starve = (subscription: Subscription): void => {
    subscription.state = "starved"
    starved++
    subscription.subscriber.whenRoom(() => feed(subscription))
  }

  /** Whether its peer takes more; if not it is where it belongs already. */
  const hasRoom = (subscription: Subscription): boolean => {
    const { room } = subscription.subscriber
    if (room === "none") starve(subscription)
    else if (room === "gone") drop(subscription)
    return room === "some"
  }

  const check = Effect.fnUntraced(function* (subscription: Subscription, generation: number) {
    const { drawn } = yield* log.head
    if (subscription.isOver || subscription.generation !== generation) return
    if (subscription.cursor <= drawn) subscription.isChecked = true
    else {
      drop(subscription)
      subscription.subscriber.send(badCursor(subscription.subscriber.appId))
    }
  })

  /** One page: read, and sent as far as there is room. */
  const turn = Effect.fnUntraced(function* (subscription: Subscription) {
    const { scope, subscriber } = subscription
    if (subscription.isOver || !hasRoom(subscription)) return
    subscription.state = "pulling"
    subscription.isStirred = false
    const { generation } = subscription
    if (!subscription.isChecked) yield* check(subscription, generation)
    if (subscription.isOver) return
    if (subscription.generation !== generation) return queue(subscription)
    const page = yield* log.follow(subscriber.appId, scope, subscription.cursor, PAGE)
    let burst = 0
    for (const row of page.rows) {
      if (burst++ === BURST) {
        burst = 1
        yield* Effect.yieldNow
      }
      if (subscription.isOver) return
      if (subscription.generation !== generation) return queue(subscription)
      if (!hasRoom(subscription)) return
      // W2
      subscription.cursor = row.id
      telemetry.eventsSent.add()
      subscriber.send(eventFrame(subscriber.appId, row, eventLimits))
    }
    if (subscription.isOver) return
    if (page.more || subscription.isStirred || subscription.generation !== generation) queue(subscription)
    else subscription.state = "idle"
  })

  /** The sweep takes it up again. */
  const rest = (subscription: Subscription): void => {
    if (subscription.isOver || subscription.state !== "pulling") return
    subscription.state = "idle"
    subscription.isStirred = true
  }

  const pull = Effect.gen(function* () {
    const subscription = yield* Queue.take(ready)
    yield* turn(subscription).pipe(
      Effect.onInterrupt(() => Effect.sync(() => rest(subscription))),
      Effect.catchCause((cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
        if (!Cause.hasDies(cause)) return Effect.sync(() => rest(subscription))
        drop(subscription)
        const { appId } = subscription.subscriber
        return Effect.andThen(
          Effect.logError("a subscription died by a defect", appId, cause),
          Effect.sync(() => void subscription.subscriber.send(broken(appId)))
        )
      })
    )
  })

  const beat = Effect.gen(function* () {
    yield* pulse.await
    yield* Effect.sleep(PULSE_MS)
    pulse.closeUnsafe()
    for (const subscription of woken) Queue.offerUnsafe(ready, subscription)
    woken.clear()
  })

  /** W4, and whatever waits for the database or for a peer. */
  const sweep: Effect.Effect<void, StoreError> = Effect.gen(function* () {
    if (count === 0) {
      swept = null
      return
    }
    const all = [...sessions.values()].flat()
    for (const subscription of all) {
      if (subscription.state === "starved" && subscription.subscriber.room !== "none") feed(subscription)
      else if (subscription.state === "idle" && subscription.isStirred) wake(subscription)
    }
    const { newest } = yield* log.head
    if (swept === null || newest - swept > MANY) all.forEach(wake)
    else if (newest > swept) {
      for (const [appId, last] of yield* log.stirred([...watched.keys()], swept, newest)) {
        for (const subscription of watched.get(appId) ?? []) if (subscription.cursor < last) wake(subscription)
      }
    }
    swept = newest
  })

  const sweeper = yield* makeSweeper("watch/sweep", limits.watchSweepMs, sweep)
  const pullers: ChildSpec = {
    id: "watch/pull",
    restart: "permanent",
    intensity: defaultIntensity,
    shutdownMs: 1000,
    start: Effect.all([Effect.forever(beat), ...Array.from({ length: PULLERS }, () => Effect.forever(pull))], {
      concurrency: "unbounded",
      discard: true
    })
  }

  telemetry.gauge("subscriptions", () => count)
  telemetry.gauge("subscriptions_starved", () => starved)

  return Watch.of({
    subscribe: (subscriber, { from, scope }) => {
      const cursor = parseCursor(from)
      if (cursor === null) return badCursor(subscriber.appId)
      const same = sessions.get(subscriber)?.find((one) => one.scope === scope)
      if (same !== undefined) {
        same.restart(cursor)
        wake(same)
        return null
      }
      if (count >= limits.subscriptions) return tooMany(subscriber.appId)
      begin(subscriber, scope, cursor)
      return null
    },
    end: (subscriber) => {
      for (const subscription of sessions.get(subscriber) ?? []) drop(subscription)
    },
    children: [pullers, sweeper.child],
    stats: () => ({ subscriptions: count, starved })
  })
})

const badCursor = (appId: string): ErrorFrame =>
  errorFrame("bad_frame", "from is no cursor of this server's log: subscribe without from to begin with all of it", {
    appId
  })

const tooMany = (appId: string): ErrorFrame =>
  errorFrame("overloaded", "this replica has all the subscriptions that it takes: subscribe later, or elsewhere", {
    appId,
    retryAfterMs: RETRY_AFTER_MS
  })

const broken = (appId: string): ErrorFrame =>
  errorFrame("unavailable", "the subscription failed: subscribe again with the last cursor", {
    appId,
    retryAfterMs: RETRY_AFTER_MS
  })
