import { Clock, Context, Effect, Layer } from "effect"
import { ActorSystem } from "../actors/ActorSystem.ts"
import { ServerKey } from "../actors/ServerKey.ts"
import { Settings } from "../Settings.ts"
import { Telemetry } from "../Telemetry.ts"
import { ByteBudget } from "./ByteBudget.ts"
import { Handshakes } from "./Handshakes.ts"
import { HttpServer } from "./HttpServer.ts"
import { PendingAnswers } from "./PendingAnswers.ts"
import { RetryLoop } from "./RetryLoop.ts"
import type { Member, SocketHub } from "./SocketHub.ts"
import { SOCKET_LIMITS, type SocketLimits } from "./SocketLimits.ts"
import { Watch } from "./Watch.ts"
import { type UpgradeListener, Upgrades } from "./Upgrades.ts"

export interface WebSocketStats {
  readonly sockets: number
  /** Nodes that have, or have asked for, a session. */
  readonly sessions: number
  readonly handshakesHeld: number
  readonly handshakesWaiting: number
  /** Registrations and declarations that an actor has not answered. */
  readonly unanswered: number
  /** Bytes of frames between arrival and settlement. */
  readonly bytesInFlight: number
  /** Sockets that are not read at the moment. */
  readonly paused: number
}

/** How clients that are sent away are spread: the same rate at which they are let in again. */
const RETRY_FIRST_MS = 200
const RETRY_STEP_MS = 0.5

const NANOS_PER_MILLI = 1e6

/**
 * `/ws` on the listener of `HttpServer`: raw `ws`, every limit explicit, one sweep for all sockets. Attach it before
 * `HttpServer.listen`. When its scope closes, every socket is cut (`drain` first, to be polite).
 */
export class WebSocketServer extends Context.Service<
  WebSocketServer,
  {
    readonly stats: () => WebSocketStats
    /**
     * Handshakes that wait for admission and may be those of nodes that come back: while there are any, silence is no
     * verdict (PROTOCOL §7). Strangers count for a bounded time only.
     */
    readonly waiting: () => number
    /**
     * Refuses newcomers, tells every node to come back (`going_away`), waits a bounded time for what is in flight, closes
     * every socket (1001), and has told every actor when it returns.
     */
    readonly drain: Effect.Effect<void>
    /** Upgrades at that path are another's from now on, until the drain. */
    readonly upgradesAt: (path: string, listener: UpgradeListener) => void
  }
>()("trails/transports/WebSocketServer") {
  static readonly layerWith = (
    limits: SocketLimits
  ): Layer.Layer<WebSocketServer, never, HttpServer | ActorSystem | Watch | ServerKey | Settings | Telemetry> =>
    Layer.effect(WebSocketServer, make(limits))

  static readonly layer = Layer.suspend(() => WebSocketServer.layerWith(SOCKET_LIMITS))
}

const make = Effect.fnUntraced(function* (limits: SocketLimits) {
  const { server } = yield* HttpServer
  const system = yield* ActorSystem
  const key = yield* ServerKey
  const settings = yield* Settings
  const telemetry = yield* Telemetry
  const watch = yield* Watch
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / NANOS_PER_MILLI

  const connections = new Set<Member>()
  const hub: SocketHub = {
    limits,
    granted: {
      max_frame: settings.maxFrame,
      max_in_flight: limits.inFlight,
      max_in_flight_bytes: limits.inFlightBytes
    },
    eventLimits: {
      // Neither more than the peer takes, nor so much that it is cut for what waits for it.
      maxFrame: Math.min(settings.maxFrame, limits.outboundBytes / 4),
      restUrl: settings.publicUrl?.replace(/\/$/, "") ?? ""
    },
    minLevel: settings.minLevel,
    maxFrame: settings.maxFrame,
    pingInterval: settings.pingInterval,
    serverKey: key.publicKey,
    secret: key.secret,
    tell: system.tell,
    handshakes: new Handshakes(limits, now),
    budget: new ByteBudget(limits.processBytes),
    retries: new RetryLoop(),
    answers: new PendingAnswers(limits.answerMs, now, fork),
    watch,
    telemetry,
    connections,
    now,
    wallClock: () => clock.currentTimeMillisUnsafe(),
    sessions: 0
  }
  const upgrades = new Upgrades(hub, settings)
  telemetry.gauge("sockets", () => connections.size)
  telemetry.gauge("sessions", () => hub.sessions)
  telemetry.gauge("handshakes_waiting", () => hub.handshakes.waiting)

  let sweptAt = now()
  const sweep = Effect.sync(() => {
    const at = now()
    // We were not there to read: whoever was silent meanwhile has an excuse.
    const late = at - sweptAt > 2 * limits.sweepMs + limits.sweepMs
    sweptAt = at
    hub.handshakes.sweep()
    hub.answers.sweep()
    for (const connection of connections) connection.sweep(at, late)
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(limits.sweepMs), sweep)))

  yield* Effect.acquireRelease(
    Effect.sync(() => server.on("upgrade", upgrades.onUpgrade)),
    () =>
      Effect.sync(() => {
        server.off("upgrade", upgrades.onUpgrade)
        upgrades.close()
        for (const connection of connections) connection.cut("server")
        hub.retries.close()
      })
  )

  const until = (limitMs: number, done: () => boolean) =>
    Effect.gen(function* () {
      const end = now() + limitMs
      while (!done() && now() < end) yield* Effect.sleep(POLL_MS)
    })
  const drain = Effect.gen(function* () {
    upgrades.close()
    let sent = 0
    const retryAfter = () => Math.round(RETRY_FIRST_MS + sent++ * RETRY_STEP_MS)
    for (const connection of connections) connection.goAway(retryAfter)
    const isSettled = () => [...connections].every((connection) => connection.gate.frames === 0)
    yield* until(limits.drainMs, isSettled)
    for (const connection of connections) connection.close(1001, "going_away", "server")
    // `ws` cuts who does not answer within `closeMs`; what actors could not take at once is offered again meanwhile.
    yield* until(2 * limits.closeMs, () => connections.size === 0 && hub.retries.size === 0)
  })

  return WebSocketServer.of({
    stats: () => ({
      sockets: connections.size,
      sessions: hub.sessions,
      handshakesHeld: hub.handshakes.held,
      handshakesWaiting: hub.handshakes.waiting,
      unanswered: hub.answers.size,
      bytesInFlight: hub.budget.used,
      paused: [...connections].filter((connection) => connection.gate.isPaused).length
    }),
    waiting: () => hub.handshakes.comingBack,
    drain,
    upgradesAt: (path, listener) => upgrades.at(path, listener)
  })
})

const POLL_MS = 20
