import { Cause, Context, Effect, Latch, Layer, Queue } from "effect"
import type { ErrorFrame } from "../protocol/Frames.ts"
import { CommitHints, type OnCommit } from "../storage/CommitHints.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { TreeLog } from "../storage/TreeLog.ts"
import { TreeQueries } from "../storage/TreeQueries.ts"
import { type ChildSpec, defaultIntensity } from "../supervision/ChildSpec.ts"
import { Telemetry } from "../Telemetry.ts"
import { errorFrame } from "./SocketHub.ts"
import { SOCKET_LIMITS, type SocketLimits } from "./SocketLimits.ts"
import { makeSweeper } from "./Sweeper.ts"
import { type Subscriber, Subscription, type Watcher } from "./Subscription.ts"
import { parseCursor, type TreeCursor } from "./TreeCursor.ts"
import { isWanted, readTree, type TreeSubject } from "./TreeReader.ts"

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
 * Who serves `subscribe` and `GET watch` (PROTOCOL §3, §11): every subscription pulls the log behind its own cursor, so that
 * history and live are one thing. Invariants:
 * - W1 a subscription is in the queue or in a turn at most once: its events go out in commit order.
 * - W2 the cursor moves with the event that is sent or is not wanted, and with nothing else: whatever fails, nothing is
 *   left out.
 * - W3 nothing is read for a peer that does not read, and no row is kept for it: what did not go out is read again.
 * - W4 a hint only wakes, and the sweep finds what no hint told of, by whichever replica it was committed. Another replica's
 *   hint makes the sweep look at once.
 */
export class Watch extends Context.Service<
  Watch,
  Watcher & {
    /** Begins behind a cursor that is one of this log's. How many there are is the caller's to bound. */
    readonly follow: (subscriber: Subscriber, subject: TreeSubject, after: TreeCursor) => Subscription
    /** For the supervisor: no event is sent before they run. */
    readonly children: ReadonlyArray<ChildSpec>
    readonly stats: () => { readonly subscriptions: number; readonly starved: number }
  }
>()("trails/transports/Watch") {
  static readonly layerWith = (
    limits: SocketLimits
  ): Layer.Layer<Watch, never, TreeLog | TreeQueries | CommitHints | Telemetry> => Layer.effect(Watch, make(limits))

  static readonly layer = Layer.suspend(() => Watch.layerWith(SOCKET_LIMITS))
}

const make = Effect.fnUntraced(function* (limits: SocketLimits) {
  const log = yield* TreeLog
  const hints = yield* CommitHints
  const queries = yield* TreeQueries
  const telemetry = yield* Telemetry

  const subscribers = new Map<Subscriber, Array<Subscription>>()
  /** By node; null: those who watch everything. */
  const watched = new Map<string | null, Set<Subscription>>()
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
    for (const one of watched.get(null) ?? []) wake(one)
    for (let i = 0; i < path.length; i++) {
      const found = watched.get(path[i]!)
      if (found === undefined) continue
      const depth = path.length - 1 - i
      for (const one of found) if (isAbout(one.subject, depth)) wake(one)
    }
  }

  const begin = (subscription: Subscription): void => {
    const { subject, subscriber } = subscription
    if (count++ === 0) unlisten = hints.listen({ onCommit, onUnnamed: sweeper.stir, onForeign: sweeper.stir })
    const own = subscribers.get(subscriber)
    if (own === undefined) subscribers.set(subscriber, [subscription])
    else own.push(subscription)
    const others = watched.get(subject.appId)
    if (others === undefined) watched.set(subject.appId, new Set([subscription]))
    else others.add(subscription)
    wake(subscription)
  }

  const drop = (subscription: Subscription): void => {
    if (subscription.isOver) return
    const { subject, subscriber } = subscription
    subscription.isOver = true
    if (subscription.state === "starved") starved--
    woken.delete(subscription)
    const rest = (subscribers.get(subscriber) ?? []).filter((one) => one !== subscription)
    if (rest.length === 0) subscribers.delete(subscriber)
    else subscribers.set(subscriber, rest)
    const others = watched.get(subject.appId)
    others?.delete(subscription)
    if (others?.size === 0) watched.delete(subject.appId)
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
    if (subscription.cursor.id <= drawn) subscription.isChecked = true
    else {
      drop(subscription)
      subscription.subscriber.sendEnd(badCursor(subscription.subject.appId))
    }
  })

  /** One page: read, and sent as far as there is room. */
  const turn = Effect.fnUntraced(function* (subscription: Subscription) {
    const { subject, subscriber } = subscription
    if (subscription.isOver || !hasRoom(subscription)) return
    subscription.state = "pulling"
    subscription.isStirred = false
    const { generation } = subscription
    if (!subscription.isChecked) yield* check(subscription, generation)
    if (subscription.isOver) return
    if (subscription.generation !== generation) return queue(subscription)
    const page = yield* readTree(log, subject, subscription.cursor, PAGE)
    let burst = 0
    for (const { cursor, row } of page.rows) {
      if (burst++ === BURST) {
        burst = 1
        yield* Effect.yieldNow
      }
      if (subscription.isOver) return
      if (subscription.generation !== generation) return queue(subscription)
      const wanted = isWanted(subject, row)
      if (wanted && !hasRoom(subscription)) return
      // W2
      subscription.cursor = cursor
      if (!wanted) continue
      telemetry.eventsSent.add()
      subscriber.sendRow(row, cursor)
    }
    if (subscription.isOver) return
    if (subscription.generation !== generation) return queue(subscription)
    subscription.cursor = page.next
    if (page.more || subscription.isStirred) queue(subscription)
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
        const { appId } = subscription.subject
        return Effect.andThen(
          Effect.logError("a subscription died by a defect", appId, cause),
          Effect.sync(() => subscription.subscriber.sendEnd(broken(appId)))
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

  /** Rows of the very nodes that are watched. */
  const wakeForOwn = Effect.fnUntraced(function* (all: ReadonlyArray<Subscription>) {
    const concerned = all.filter(({ subject }) => subject.own && subject.appId !== null)
    if (concerned.length === 0) return
    const now = yield* queries.moved([...new Set(concerned.map(({ subject }) => subject.appId!))])
    for (const subscription of concerned) {
      const n = now.get(subscription.subject.appId!)?.n ?? 0
      if (n <= Math.max(subscription.cursor.n, subscription.ownN)) continue
      subscription.ownN = n
      wake(subscription)
    }
  })

  /** W4, and whatever waits for the database or for a peer. */
  const sweep: Effect.Effect<void, StoreError> = Effect.gen(function* () {
    if (count === 0) {
      swept = null
      return
    }
    const all = [...subscribers.values()].flat()
    for (const subscription of all) {
      if (subscription.state === "starved" && subscription.subscriber.room !== "none") feed(subscription)
      else if (subscription.state === "idle" && subscription.isStirred) wake(subscription)
    }
    const { newest } = yield* log.head
    if (swept === null || newest - swept > MANY) all.forEach(wake)
    else if (newest > swept) {
      const ids = [...watched.keys()].filter((appId) => appId !== null)
      const last = ids.length === 0 ? new Map<string, number>() : yield* log.stirred(ids, swept, newest)
      for (const subscription of all) {
        const { cursor, subject } = subscription
        if (cursor.id < (subject.appId === null ? newest : (last.get(subject.appId) ?? 0))) wake(subscription)
      }
      yield* wakeForOwn(all)
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
    subscribe: (session, { from, scope }) => {
      const { appId } = session
      const id = parseCursor(from)
      if (id === null) return badCursor(appId)
      const cursor = { id, n: 0 }
      const same = subscribers.get(session)?.find(({ subject }) => subject.scope === scope)
      if (same !== undefined) {
        same.restart(cursor)
        wake(same)
        return null
      }
      if (count >= limits.subscriptions) return tooMany(appId)
      begin(new Subscription(session, { appId, scope, own: false, kinds: null }, cursor, id === 0))
      return null
    },
    follow: (subscriber, subject, after) => {
      const subscription = new Subscription(subscriber, subject, after, true)
      begin(subscription)
      return subscription
    },
    end: (subscriber) => {
      for (const subscription of subscribers.get(subscriber) ?? []) drop(subscription)
    },
    children: [pullers, sweeper.child],
    stats: () => ({ subscriptions: count, starved })
  })
})

/** Whether a node's row concerns whoever watches the one so many levels above it. */
const isAbout = ({ own, scope }: TreeSubject, depth: number): boolean =>
  depth === 0 ? own : depth === 1 || scope === "subtree"

const badCursor = (appId: string | null): ErrorFrame =>
  errorFrame("bad_frame", "from is no cursor of this server's log: subscribe without from to begin with all of it", {
    appId: appId ?? undefined
  })

const tooMany = (appId: string): ErrorFrame =>
  errorFrame("overloaded", "this replica has all the subscriptions that it takes: subscribe later, or elsewhere", {
    appId,
    retryAfterMs: RETRY_AFTER_MS
  })

const broken = (appId: string | null): ErrorFrame =>
  errorFrame("unavailable", "the subscription failed: subscribe again with the last cursor", {
    appId: appId ?? undefined,
    retryAfterMs: RETRY_AFTER_MS
  })
