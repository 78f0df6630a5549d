import { Context, Deferred, Effect, Latch, Layer, Option } from "effect"
import { isEnded } from "../protocol/Ended.ts"
import { CommitHints, type OnCommit } from "../storage/CommitHints.ts"
import type { StoreError } from "../storage/StoreError.ts"
import { TreeLog } from "../storage/TreeLog.ts"
import { type Standing, type Stir, TreeQueries } from "../storage/TreeQueries.ts"
import { type ChildSpec, repeating } from "../supervision/ChildSpec.ts"
import { Telemetry } from "../Telemetry.ts"
import { Problem, tryLater } from "./rest/Problem.ts"
import { makeSweeper } from "./Sweeper.ts"

/** What is hinted within so long is looked at together. */
const PULSE_MS = 5
/** Ended nodes read at once. */
const READERS = 3
/** What happens in a tree within so long is told together. */
const GATHER_MS = 200
/** More new rows than these between two sweeps: looking through them costs more than answering everybody. */
const MANY = 20_000

export interface WaiterLimits {
  /** At once; one more is refused. */
  readonly waiters: number
  /** How often the log is looked at for waiters whom no hint has woken. */
  readonly sweepMs: number
}

export const WAITER_LIMITS: WaiterLimits = { waiters: 16_000, sweepMs: 1000 }

const stopping = new Problem({
  status: 503,
  code: "going_away",
  detail: "This server is stopping; ask again in a moment",
  headers: { "retry-after": "1", connection: "close" }
})
const crowded = tryLater("overloaded", "This server has all the waiting requests that it takes; ask again later")

/**
 * - `end`: the node's end. - `rows`: its log. - `answers`: its answers to commands. - `tree`: the log at and below it.
 * - `none`: it looks by itself.
 */
type Scope = "end" | "rows" | "answers" | "tree" | "none"

interface Waiter {
  readonly appId: string
  readonly scope: Scope
  /** The node's log counter that it knows: a later one wakes `rows` and `tree`. */
  n: number
  /** Of `tree`: the log id up to which it knows what happened. */
  newest: number
  /** Done when there may be something new; of `end`, with how the node has ended. */
  woken: Deferred.Deferred<Standing | null, Problem>
}

/**
 * Who waits over HTTP. Invariants:
 * - L1 it is registered before it looks: what is committed after the look wakes it.
 * - L2 a waiter costs a timer and no query: hints wake those whom they concern, and one sweep for all finds what no hint
 *   told of, by whichever replica it was committed; another replica's hint makes it look at once. Of `answers` it does
 *   not know more than that the node has moved: they all look then, so that theirs must be one look for all.
 * - L3 the end of a node is read once for all who wait for it.
 * - L4 a waiter whose fiber ends, for whatever reason, is forgotten at once.
 */
export class Waiters extends Context.Service<
  Waiters,
  {
    /** How the node stands when it has ended, at the latest after `ms`. null: no such node. */
    readonly ended: (appId: string, ms: number) => Effect.Effect<Standing | null, StoreError | Problem>
    /** What `look` finds once it finds something behind the node's row `n`; null when that takes longer than `ms`. */
    readonly logged: <A, E>(
      appId: string,
      n: number,
      look: Effect.Effect<A | null, E>,
      ms: number
    ) => Effect.Effect<A | null, E | Problem>
    /** What `look` finds once it finds something, looking again when the node has answered a command. */
    readonly answered: <A, E>(
      appId: string,
      look: Effect.Effect<A | null, E>,
      ms: number
    ) => Effect.Effect<A | null, E | Problem>
    /** One who looks by himself, as often as `body` likes: he is counted like the others, and goes when they go. */
    readonly counted: <A, E>(appId: string, body: Effect.Effect<A, E>) => Effect.Effect<A, E | Problem>
    /** Returns when something has happened at or below the node since the log id `cursor`, at the latest after `ms`. */
    readonly stirred: (appId: string, cursor: number, ms: number) => Effect.Effect<Stir | null, StoreError | Problem>
    /** Everybody is answered now, and nobody is let in any more. */
    readonly close: Effect.Effect<void>
    /** For the supervisor: without them hints are lost. */
    readonly children: ReadonlyArray<ChildSpec>
  }
>()("trails/transports/Waiters") {
  static readonly layerWith = (
    limits: WaiterLimits
  ): Layer.Layer<Waiters, never, TreeQueries | TreeLog | CommitHints | Telemetry> => Layer.effect(Waiters, make(limits))

  static readonly layer = Layer.suspend(() => Waiters.layerWith(WAITER_LIMITS))
}

const make = Effect.fnUntraced(function* (limits: WaiterLimits) {
  const queries = yield* TreeQueries
  const log = yield* TreeLog
  const hints = yield* CommitHints
  const telemetry = yield* Telemetry

  const watched = new Map<string, Set<Waiter>>()
  /** Nodes that have ended, with waiters who are to be told. */
  const endings = new Set<string>()
  const pulse = yield* Latch.make()
  let count = 0
  let closed = false
  let unlisten = (): void => {}
  /** How far the sweep has looked; null: nobody was there for whom to look. */
  let swept: number | null = null

  const wake = ({ woken }: Waiter, standing: Standing | null = null): void => {
    Deferred.doneUnsafe(woken, Effect.succeed(standing))
  }

  const end = (appId: string): void => {
    endings.add(appId)
    pulse.openUnsafe()
  }

  const onCommit: OnCommit = (path, status, answers) => {
    for (let i = 0; i < path.length; i++) {
      const found = watched.get(path[i]!)
      if (found === undefined) continue
      const own = i === path.length - 1
      for (const waiter of found) {
        const { scope } = waiter
        if (scope === "tree" || (own && (scope === "rows" || (scope === "answers" && answers)))) wake(waiter)
        else if (own && scope === "end" && isEnded(status)) end(waiter.appId)
      }
    }
  }

  const enter = (appId: string, scope: Scope): Waiter => {
    const waiter = { appId, scope, n: 0, newest: 0, woken: Deferred.makeUnsafe<Standing | null, Problem>() }
    if (count++ === 0) unlisten = hints.listen({ onCommit, onUnnamed: sweeper.stir, onForeign: sweeper.stir })
    const others = watched.get(appId)
    if (others === undefined) watched.set(appId, new Set([waiter]))
    else others.add(waiter)
    return waiter
  }

  const leave = (waiter: Waiter): void => {
    const others = watched.get(waiter.appId)
    others?.delete(waiter)
    if (others?.size === 0) {
      watched.delete(waiter.appId)
      endings.delete(waiter.appId)
    }
    if (--count === 0) unlisten()
  }

  /** L1, L4 */
  const attend = <A, E>(appId: string, scope: Scope, body: (waiter: Waiter) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.suspend(() =>
        closed || count >= limits.waiters
          ? Effect.fail(closed ? stopping : crowded)
          : Effect.succeed(enter(appId, scope))
      ),
      body,
      (waiter) => Effect.sync(() => leave(waiter))
    )

  const told = ({ woken }: Waiter, ms: number) => Effect.timeoutOption(Deferred.await(woken), ms)

  const ended = (appId: string, ms: number) =>
    attend(
      appId,
      "end",
      Effect.fnUntraced(function* (waiter) {
        const now = yield* queries.standing(appId)
        if (now === null || isEnded(now.status) || ms === 0) return now
        const later = yield* told(waiter, ms)
        return Option.isSome(later) ? later.value : yield* queries.standing(appId)
      })
    )

  const found = <A, E>(appId: string, scope: Scope, n: number, look: Effect.Effect<A | null, E>, ms: number) =>
    attend(
      appId,
      scope,
      Effect.fnUntraced(function* (waiter) {
        waiter.n = n
        const first = yield* look
        if (first !== null || ms === 0) return first
        const rounds = Effect.gen(function* () {
          for (;;) {
            yield* Deferred.await(waiter.woken)
            if (closed) return yield* stopping
            waiter.woken = Deferred.makeUnsafe()
            const next = yield* look
            if (next !== null) return next
          }
        })
        return Option.getOrNull(yield* Effect.timeoutOption(rounds, ms))
      })
    )

  const stirred = (appId: string, cursor: number, ms: number) =>
    attend(
      appId,
      "tree",
      Effect.fnUntraced(function* (waiter) {
        const stir = yield* queries.stirredSince(appId, cursor)
        if (stir === null || stir.stirred || stir.foreign || ms === 0) return stir
        waiter.n = stir.n
        waiter.newest = stir.newest
        if (Option.isNone(yield* told(waiter, ms))) return stir
        yield* Effect.sleep(GATHER_MS)
        return { ...stir, stirred: true }
      })
    )

  /** L3 */
  const tellEnd = Effect.fnUntraced(function* (appId: string) {
    endings.delete(appId)
    const standing = yield* Effect.onError(queries.standing(appId), () => Effect.sync(() => void endings.add(appId)))
    // It may have come back to life meanwhile.
    if (standing === null || !isEnded(standing.status)) return
    for (const waiter of watched.get(appId) ?? []) if (waiter.scope === "end") wake(waiter, standing)
  })

  const beat = Effect.gen(function* () {
    yield* pulse.await
    yield* Effect.sleep(PULSE_MS)
    pulse.closeUnsafe()
    // The sweep takes those up again that could not be read.
    yield* Effect.forEach([...endings], (appId) => Effect.ignore(tellEnd(appId)), {
      concurrency: READERS,
      discard: true
    })
  })

  const sweep: Effect.Effect<void, StoreError> = Effect.gen(function* () {
    if (endings.size > 0) pulse.openUnsafe()
    if (count === 0) {
      swept = null
      return
    }
    const { newest } = yield* log.head
    if (newest === swept) return
    const now = yield* queries.moved([...watched.keys()])
    const trees: Array<Waiter> = []
    for (const [appId, waiters] of watched) {
      const node = now.get(appId)
      for (const waiter of waiters) {
        if (waiter.scope === "tree") trees.push(waiter)
        if (node === undefined || waiter.scope === "none") continue
        if (waiter.scope === "end" ? isEnded(node.status) : node.n > waiter.n) {
          if (waiter.scope === "end") end(appId)
          else {
            // What it finds now is behind it: only what comes then wakes it again.
            waiter.n = node.n
            wake(waiter)
          }
        }
      }
    }
    if (trees.length > 0) {
      const from = swept ?? Math.min(...trees.map((waiter) => waiter.newest))
      if (newest - from > MANY) trees.forEach((waiter) => wake(waiter))
      else {
        const ids = [...new Set(trees.map(({ appId }) => appId))]
        const last = yield* log.stirred(ids, from, newest)
        for (const waiter of trees) if ((last.get(waiter.appId) ?? 0) > waiter.newest) wake(waiter)
      }
    }
    swept = newest
  })

  const sweeper = yield* makeSweeper("waiters/sweep", limits.sweepMs, sweep)
  const teller = repeating("waiters/tell", beat)

  telemetry.gauge("waiters", () => count)

  return Waiters.of({
    ended,
    logged: (appId, n, look, ms) => found(appId, "rows", n, look, ms),
    answered: (appId, look, ms) => found(appId, "answers", 0, look, ms),
    counted: (appId, body) =>
      attend(appId, "none", ({ woken }) => Effect.raceFirst(body, Effect.andThen(Deferred.await(woken), stopping))),
    stirred,
    close: Effect.sync(() => {
      closed = true
      for (const waiters of watched.values()) {
        for (const { woken } of waiters) Deferred.doneUnsafe(woken, Effect.fail(stopping))
      }
    }),
    children: [teller, sweeper.child]
  })
})
