import type { NatsConnection } from "@nats-io/transport-node"
import { Context, Effect, Layer, Random, type Scope } from "effect"
import type { NatsSettings } from "../Settings.ts"
import { monotonicClock } from "../supervision/MonotonicClock.ts"
import { Rarely } from "../supervision/Rarely.ts"
import { Telemetry } from "../Telemetry.ts"
import { dialAny, firstLook, greetingOf, natsText } from "./NatsDial.ts"
import type { NatsError } from "./NatsError.ts"
import type { NatsGreeting } from "./NatsGreeting.ts"
import { SendWindow } from "./SendWindow.ts"

/** Durations in milliseconds. */
export interface NatsLimits {
  /** How long the start waits for servers that do not answer, to find one of a wrong version. */
  readonly firstLookMs: number
  /** Each step towards a server. */
  readonly connectMs: number
  /** Between two tries; doubled from the first to the last, and drawn from the upper half. */
  readonly retryMs: readonly [number, number]
  /** A connection that lasted so long starts again with the first. */
  readonly stableMs: number
  /** Between two questions whether the server still answers, and how long an answer may take. */
  readonly pulseMs: number
  readonly answerMs: number
  /** Between two log lines about one kind of trouble. */
  readonly sayMs: number
  /** Bytes given to a connection that its server has not taken yet; above it messages are dropped. */
  readonly windowBytes: number
}

export const NATS_LIMITS: NatsLimits = {
  firstLookMs: 1000,
  connectMs: 3000,
  retryMs: [200, 2000],
  stableMs: 10_000,
  pulseMs: 2000,
  answerMs: 5000,
  sayMs: 60_000,
  windowBytes: 16 * 1024 * 1024
}

const CLOSE_MS = 1000

const close = (connection: NatsConnection): Effect.Effect<void> =>
  Effect.ignore(Effect.tryPromise(() => connection.close()).pipe(Effect.timeout(CLOSE_MS)))

/**
 * The one connection of a replica to NATS.
 *
 * - N1: nobody waits for NATS. `publish` returns at once; what can't be sent now is dropped and counted, never kept.
 * - N2: memory is bounded whatever the server does (`SendWindow`); a server that stops answering is left.
 * - N3: it is tried for ever, with jitter, one server of the list after the other, in an order drawn anew each time.
 * - N4: no server of a refused version is used, nor told the login.
 * - N5: a reconnect is a new connection: `onConnect` tells of it, and nothing of the former one is carried over.
 */
export class NatsLink extends Context.Service<
  NatsLink,
  {
    /** The connection in use; null while there is none. Never keep it: ask again, or use `onConnect`. */
    readonly connection: () => NatsConnection | null
    /** Who is at the other end; null while nobody is. */
    readonly server: () => NatsGreeting | null
    /** What keeps it from being connected, one line without secrets; null while it is, and before the first try. */
    readonly trouble: () => string | null
    /** Fire and forget: never fails, never waits. Larger than the server's `max_payload`: dropped. */
    readonly publish: (subject: string, body: string) => void
    /** Calls with every new connection before anything is published on it, and with the one in use at once. */
    readonly onConnect: (listener: (connection: NatsConnection) => void) => Effect.Effect<void, never, Scope.Scope>
  }
>()("trails/transports/NatsLink") {
  /** Fails at the start only: where the file of credentials is useless, or servers answer and all of them are refused. */
  static readonly layer = (
    nats: NatsSettings,
    name: string,
    limits: NatsLimits = NATS_LIMITS
  ): Layer.Layer<NatsLink, NatsError, Telemetry> =>
    Layer.effect(
      this,
      Effect.gen(function* () {
        const telemetry = yield* Telemetry
        const now = yield* monotonicClock
        const fork = Effect.runForkWith(yield* Effect.context<never>())
        const listeners = new Set<(connection: NatsConnection) => void>()
        let current: { readonly connection: NatsConnection; readonly window: SendWindow } | null = null
        let server: NatsGreeting | null = null
        let trouble: string | null = null
        const rarely = new Rarely(now, limits.sayMs)
        let connectedUnsaid = true

        const drop = (reason: string): void => telemetry.natsDropped.add(reason)
        telemetry.gauge("nats_connected", () => (current === null ? 0 : 1))
        telemetry.gauge("nats_unconfirmed_bytes", () => current?.window.waiting ?? 0)
        for (const reason of ["away", "slow", "unfit"]) telemetry.natsDropped.of(reason)

        const publish = (subject: string, body: string): void => {
          if (current === null || current.connection.isClosed()) return drop("away")
          const bytes = Buffer.byteLength(subject) + Buffer.byteLength(body)
          if (!current.window.takes(bytes)) return drop("slow")
          try {
            current.connection.publish(subject, body)
          } catch {
            // Larger than the server takes, or no subject.
            return drop("unfit")
          }
          current.window.gave(bytes)
          telemetry.natsPublished.add()
        }

        const tell = (listener: (connection: NatsConnection) => void, connection: NatsConnection): void => {
          try {
            listener(connection)
          } catch (defect) {
            fork(Effect.logError("a listener for connections to NATS failed", defect))
          }
        }

        const adopt = Effect.fnUntraced(function* (connection: NatsConnection) {
          server = greetingOf(connection)
          void heed(connection)
          for (const listener of listeners) tell(listener, connection)
          current = { connection, window: new SendWindow(limits.windowBytes, () => connection.flush()) }
          trouble = null
          // As many lines as there were of trouble, so that a connection that comes and goes fills no log either.
          if (!connectedUnsaid) return
          connectedUnsaid = false
          yield* Effect.logInfo(`connected to NATS: ${server.name}, version ${server.version}`)
        })

        /** Asks again and again; ends when an answer stays away. */
        const pulse = (connection: NatsConnection) =>
          Effect.tryPromise(() => connection.flush()).pipe(
            Effect.timeout(limits.answerMs),
            Effect.andThen(Effect.sleep(limits.pulseMs)),
            Effect.forever,
            Effect.ignore
          )

        /** What the server refuses on a connection that goes on, e.g. a subject that the login does not allow. */
        const heed = async (connection: NatsConnection): Promise<void> => {
          for await (const status of connection.status()) {
            if (status.type !== "error" || !rarely.may(`complaint ${status.error.name}`)) continue
            fork(Effect.logError(`NATS refuses something: ${natsText(status.error, nats)}; see deploy/nats.conf`))
          }
        }

        const say = Effect.fnUntraced(function* ({ message, reason }: Pick<NatsError, "reason" | "message">) {
          trouble = message
          if (!rarely.may(reason)) return
          connectedUnsaid = true
          const line = `no connection to NATS: ${message}; this replica serves without it and keeps trying`
          yield* reason === "Away" ? Effect.logWarning(line) : Effect.logError(line)
        })

        /** The life of one connection, from the first byte to the last. */
        const session = Effect.gen(function* () {
          const connection = yield* dialAny(nats, name, limits)
          const since = now()
          yield* adopt(connection).pipe(
            Effect.andThen(
              Effect.raceFirst(
                Effect.promise(() => connection.closed()),
                pulse(connection)
              )
            ),
            Effect.ensuring(
              Effect.suspend(() => {
                current = null
                server = null
                return close(connection)
              })
            )
          )
          return now() - since
        })

        const live = Effect.gen(function* () {
          const [shortest, longest] = limits.retryMs
          let delay = shortest
          while (true) {
            const lasted = yield* session.pipe(
              Effect.tap(() => say({ reason: "Away", message: "the connection is lost" })),
              Effect.catch((error) => Effect.as(say(error), 0))
            )
            delay = lasted >= limits.stableMs ? shortest : Math.min(delay * 2, longest)
            yield* Effect.sleep(yield* Random.nextBetween(delay / 2, delay))
          }
        })

        yield* firstLook(nats, limits)
        yield* Effect.forkScoped(live)
        return {
          connection: () => (current === null || current.connection.isClosed() ? null : current.connection),
          server: () => server,
          trouble: () => trouble,
          publish,
          onConnect: (listener) =>
            Effect.asVoid(
              Effect.acquireRelease(
                Effect.sync(() => {
                  listeners.add(listener)
                  if (current !== null) tell(listener, current.connection)
                }),
                () => Effect.sync(() => listeners.delete(listener))
              )
            )
        }
      })
    )
}
