import type { NatsConnection, Subscription } from "@nats-io/transport-node"
import { Effect, Layer } from "effect"
import { Bus, type BusHandler, guarded, makeLocalBus } from "../actors/Bus.ts"
import { Telemetry } from "../Telemetry.ts"
import { NatsLink } from "./NatsLink.ts"

interface Entry {
  readonly pattern: string
  readonly handler: BusHandler
  /** On the connection in use; null while there is none. */
  carried: Subscription | null
}

/**
 * The bus of several replicas: the in-process bus for what a replica tells itself, and NATS for the others. The link is
 * told not to send a replica its own messages back, so that each is heard once.
 */
export const layer: Layer.Layer<Bus, never, NatsLink | Telemetry> = Layer.effect(
  Bus,
  Effect.gen(function* () {
    const link = yield* NatsLink
    const telemetry = yield* Telemetry
    const local = makeLocalBus()
    const entries = new Set<Entry>()

    const carry = (entry: Entry, connection: NatsConnection): void => {
      entry.carried = connection.subscribe(entry.pattern, {
        callback: (error, message) => {
          // The link tells what the server refuses.
          if (error !== null) return
          telemetry.natsReceived.add()
          entry.handler(message.subject, message.string())
        }
      })
    }

    // First, so that no subscription is older than it: each connection carries all there are.
    yield* link.onConnect((connection) => {
      for (const entry of entries) carry(entry, connection)
    })

    const fromOthers = (pattern: string, handler: BusHandler) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const entry: Entry = { pattern, handler, carried: null }
          entries.add(entry)
          const connection = link.connection()
          if (connection !== null) carry(entry, connection)
          return entry
        }),
        (entry) =>
          Effect.sync(() => {
            entries.delete(entry)
            entry.carried?.unsubscribe()
          })
      )

    return {
      kind: "nats",
      connected: () => link.connection() !== null,
      publish: (subject, body) => {
        local.publish(subject, body)
        link.publish(subject, body)
      },
      subscribe: (pattern, handler) =>
        Effect.gen(function* () {
          yield* fromOthers(pattern, yield* guarded(pattern, handler))
          yield* local.subscribe(pattern, handler)
        })
    }
  })
)
