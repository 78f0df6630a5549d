import { Cause, Clock, Deferred, Effect, Exit, Queue } from "effect"
import { type ChildSpec, defaultIntensity } from "../supervision/ChildSpec.ts"
import type { NodeMessage } from "./NodeMessage.ts"
import type { ActorSystem } from "./ActorSystem.ts"
import { Mailbox } from "./Mailbox.ts"
import { detach, type NodeCell } from "./node/NodeCell.ts"
import type { NodeEnvironment } from "./node/NodeEnvironment.ts"
import { rejection } from "./node/rejection.ts"
import { settle, turn } from "./NodeActor.ts"

export interface LocalActorSystemOptions {
  /** Turns at once: enough for a group commit to gather hundreds of nodes; an idle worker costs about 3 KB. */
  readonly workers: number
  /** Control and data messages that one mailbox holds. */
  readonly mailboxCapacity: number
  /** Messages of one turn: a chatty node must not keep its worker from the others. */
  readonly fairness: number
  /** Rebuilds of one actor within `intensityWindowMs` before its session is closed and the node reported. */
  readonly intensity: number
  readonly intensityWindowMs: number
}

export const defaultActorOptions: LocalActorSystemOptions = {
  workers: 512,
  mailboxCapacity: 4096,
  fairness: 256,
  intensity: 3,
  intensityWindowMs: 10_000
}

/** How often, and how many at a time, rows are compared with actors. */
const STRAYS_EVERY_MS = 15_000
const STRAYS_PAGE = 1000
/** How often, and how many at a time, commands are looked for of which no hint has come. */
const UNTOLD_EVERY_MS = 1000
const UNTOLD_PAGE = 1000

/**
 * Actors of this replica on a fixed pool of workers (DESIGN §2). Invariants:
 * - A1 the first message creates the actor, exactly once; an actor without session and mail is forgotten.
 * - A2 an actor is in the ready queue or in a turn at most once, so it runs one turn at a time (NodeCell C1).
 * - A3 a turn that dies by a defect goes on from the message that it died of, on a fresh row, within the intensity; what
 *   was committed it then finds as repetitions. Beyond the intensity its session is closed: the child re-sends in its next one (P1).
 * - A4 credit of data frames is given back exactly once per batch.
 * - A5 no defect ends a worker: an actor that was in its turn would never run again.
 * - A6 no row keeps saying that a session lives here when none does.
 * - A7 a command for a session that lives here is told also when its hint was lost.
 */
export const makeLocalActorSystem = Effect.fnUntraced(function* (
  makeEnvironment: (tell: (appId: string, message: NodeMessage) => boolean) => NodeEnvironment,
  options: LocalActorSystemOptions
) {
  const cells = new Map<string, NodeCell>()
  const ready = yield* Queue.unbounded<NodeCell>()
  const counters = { rebuilt: 0, stopping: false, active: 0 }
  const idle = yield* Deferred.make<void>()

  const cellOf = (appId: string): NodeCell => {
    let cell = cells.get(appId)
    if (cell === undefined) {
      cell = {
        id: appId,
        mailbox: new Mailbox(),
        row: null,
        session: null,
        stopping: null,
        commands: null,
        starved: null,
        evidence: 0,
        active: false,
        rebuilt: NEVER
      }
      cells.set(appId, cell)
    }
    return cell
  }

  const tell = (appId: string, message: NodeMessage): boolean => {
    if (counters.stopping) return false
    const cell = cellOf(appId)
    if (!cell.mailbox.offer(message, options.mailboxCapacity)) return false
    if (!cell.active) {
      cell.active = true
      counters.active++
      Queue.offerUnsafe(ready, cell)
    }
    return true
  }

  const env = makeEnvironment(tell)

  const withinIntensity = (cell: NodeCell, now: number): boolean => {
    cell.rebuilt = cell.rebuilt.filter((at) => now - at < options.intensityWindowMs)
    cell.rebuilt.push(now)
    return cell.rebuilt.length <= options.intensity
  }

  /** A3 */
  const supervisedTurn = Effect.fnUntraced(function* (cell: NodeCell, batch: ReadonlyArray<NodeMessage>) {
    const progress = { index: 0 }
    while (true) {
      const exit = yield* Effect.exit(turn(env, cell, batch, progress))
      if (Exit.isSuccess(exit)) return
      if (!Cause.hasDies(exit.cause)) {
        const error = Cause.findErrorOption(exit.cause)
        if (error._tag === "Some" && error.value.reason !== "Closed") {
          yield* Effect.logError("the database refused a read of ours", cell.id, error.value.message)
        }
        return giveUp(cell, batch)
      }
      counters.rebuilt++
      cell.row = null
      yield* Effect.logError("an actor died and is rebuilt from its row", cell.id, exit.cause)
      if (!withinIntensity(cell, yield* Clock.currentTimeMillis)) return giveUp(cell, batch)
    }
  })

  /** Ends the session, so that the child comes back and re-sends what was not acked; answers whoever waits. */
  const giveUp = (cell: NodeCell, batch: ReadonlyArray<NodeMessage>): void => {
    const error = rejection(cell.id, "unavailable", "this replica can't serve the node now; reconnect", 1000)
    const session = cell.session
    cell.row = null
    detach(cell)
    session?.end(error)
    for (const message of batch) {
      if ("reply" in message)
        Deferred.doneUnsafe(message.reply as Deferred.Deferred<unknown>, Effect.succeed({ _tag: "Rejected", error }))
    }
    // The row may still name a session, this one or one that was just committed: look at it.
    const hopeless = batch.every((message) => message._tag === "Orphaned")
    if (!hopeless && !counters.stopping) {
      cell.mailbox.offer({ _tag: "Orphaned", owner: env.boot }, options.mailboxCapacity)
    }
  }

  /** A2, A4: however the turn ended. */
  const finish = (cell: NodeCell, batch: ReadonlyArray<NodeMessage>): void => {
    if (cell.mailbox.size > 0) Queue.offerUnsafe(ready, cell)
    else {
      cell.active = false
      counters.active--
      if (cell.session === null) cells.delete(cell.id)
    }
    if (counters.stopping && counters.active === 0) Deferred.doneUnsafe(idle, Effect.void)
    settle(batch)
  }

  const work = Effect.gen(function* () {
    const cell = yield* Queue.take(ready)
    const batch = cell.mailbox.take(options.fairness)
    yield* Effect.ensuring(
      supervisedTurn(cell, batch),
      Effect.sync(() => finish(cell, batch))
    )
  }).pipe(
    // A5
    Effect.catchDefect((defect) => Effect.logError("a worker survived a defect outside of a turn", defect))
  )

  /**
   * A6: nodes whose row says that this boot holds their session while no actor here does: the hint of `giveUp` failed
   * too. They become `reconnecting`, so that somebody notices their child's silence.
   */
  const strays = Effect.gen(function* () {
    let after: string | null = null
    do {
      const page: ReadonlyArray<string> = yield* env.store.owned(env.boot, after, STRAYS_PAGE)
      for (const appId of page) {
        const cell = cells.get(appId)
        if (cell === undefined || (cell.session === null && !cell.active))
          tell(appId, { _tag: "Orphaned", owner: env.boot })
      }
      after = page.at(-1) ?? null
    } while (after !== null)
  })

  const pool: ChildSpec = {
    id: "actors/pool",
    restart: "permanent",
    intensity: defaultIntensity,
    shutdownMs: 5000,
    start: Effect.forEach(Array.from({ length: options.workers }), () => Effect.forever(work), {
      concurrency: "unbounded",
      discard: true
    })
  }

  const watch: ChildSpec = {
    id: "actors/strays",
    restart: "permanent",
    intensity: defaultIntensity,
    shutdownMs: 1000,
    start: Effect.forever(
      Effect.andThen(
        Effect.sleep(STRAYS_EVERY_MS),
        Effect.catch(strays, (error) => Effect.logDebug("stray nodes were not looked for", error.message))
      )
    )
  }

  /** A7 */
  const overlooked = Effect.gen(function* () {
    let after: string | null = null
    do {
      const page: ReadonlyArray<string> = yield* env.commands.untold(env.boot, after, UNTOLD_PAGE)
      for (const appId of page) tell(appId, { _tag: "Commanded" })
      after = page.length === UNTOLD_PAGE ? (page.at(-1) ?? null) : null
    } while (after !== null)
  })

  const untold: ChildSpec = {
    id: "actors/untold",
    restart: "permanent",
    intensity: defaultIntensity,
    shutdownMs: 1000,
    start: Effect.forever(
      Effect.andThen(
        Effect.sleep(UNTOLD_EVERY_MS),
        Effect.catch(overlooked, (error) => Effect.logDebug("commands were not looked for", error.message))
      )
    )
  }

  return {
    tell,
    children: [pool, watch, untold],
    stats: () => {
      let queued = 0
      for (const cell of cells.values()) queued += cell.mailbox.size
      return { actors: cells.size, queued, rebuilt: counters.rebuilt }
    },
    stop: Effect.suspend(() => {
      counters.stopping = true
      return counters.active === 0 ? Effect.void : Deferred.await(idle)
    })
  } satisfies Omit<ActorSystem["Service"], "hint">
})

const NEVER: Array<number> = []
