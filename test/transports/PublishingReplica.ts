import { randomUUID } from "node:crypto"
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import { type EventStreamSettings, type NatsLogin, Settings } from "../../src/Settings.ts"
import * as CommitHints from "../../src/storage/CommitHints.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import { ReplicaStore } from "../../src/storage/ReplicaStore.ts"
import { DatabaseHealth } from "../../src/supervision/DatabaseHealth.ts"
import { EventOutlet } from "../../src/supervision/EventOutlet.ts"
import { eventPublisher } from "../../src/supervision/EventPublisher.ts"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import * as JetStreamOutlet from "../../src/transports/JetStreamOutlet.ts"
import { NatsLink } from "../../src/transports/NatsLink.ts"
import { metric, parseMetrics } from "../harness/Metrics.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type OpenStorage, shared } from "../storage/openStorage.ts"
import { natsSettings, QUICK } from "./NatsReplica.ts"
import { SETTINGS } from "./startTransport.ts"

interface Options {
  readonly events?: Partial<EventStreamSettings>
  /** Changes what it is told of its leases: for a replica that believes what is not so. */
  readonly replicas?: (store: ReplicaStore["Service"]) => ReplicaStore["Service"]
  readonly login?: NatsLogin
  /** Without its publisher: for tests of the outlet alone. */
  readonly idle?: boolean
}

/** As much of a replica as publishes: its leases, its link to NATS, and the duty. */
export const startPublisher = async (
  storage: OpenStorage,
  server: { readonly port: number },
  { events = {}, idle = false, login, replicas = (store) => store }: Options = {}
) => {
  const lines: Array<string> = []
  const log = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel} ${[message].flat().map(String).join(" ")}`)
  })
  const settings = { ...SETTINGS, publicUrl: "https://trails.example", events: { ...SETTINGS.events, ...events } }
  const boot = randomUUID()
  const layer = JetStreamOutlet.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        NatsLink.layer(natsSettings([server], login ?? null), "publisher", QUICK),
        ReplicaLease.layer({ boot, instance: "test", version: "0" }).pipe(Layer.provideMerge(DatabaseHealth.layer))
      )
    ),
    Layer.provideMerge(Layer.mergeAll(Telemetry.layer, Layer.succeed(Settings, settings), CommitHints.layer)),
    Layer.provideMerge(Layer.effect(ReplicaStore, Effect.map(ReplicaStore, replicas))),
    Layer.provideMerge(shared(storage)),
    Layer.provideMerge(Logger.layer([log]))
  )
  const runtime = ManagedRuntime.make(layer)
  const children = await runtime.runPromise(
    Effect.gen(function* () {
      const { child } = yield* DatabaseHealth
      const lease = yield* ReplicaLease
      return [child, lease.child, ...(idle ? [] : [yield* eventPublisher])]
    })
  )
  const controller = new AbortController()
  const ended = runtime
    .runPromise(
      Effect.scoped(Effect.andThen(startSupervisor({ name: "test", strategy: "one_for_one", children }), Effect.never)),
      { signal: controller.signal }
    )
    .catch(() => {})
  const telemetry = await runtime.runPromise(Telemetry)
  return {
    boot,
    lines,
    outlet: await runtime.runPromise(EventOutlet),
    /** Its commits are hinted at to its publisher. */
    store: await runtime.runPromise(NodeStore),
    run: runtime.runPromise,
    metric: async (name: string) => metric(parseMetrics(await runtime.runPromise(telemetry.render)), `trails_${name}`),
    published: (count: number) =>
      waitUntil(
        `${count} events are published`,
        async () =>
          metric(parseMetrics(await runtime.runPromise(telemetry.render)), "trails_events_published_total") >= count,
        { withinMs: 30_000 }
      ),
    connected: async () => {
      const link = await runtime.runPromise(NatsLink)
      await waitUntil("connected", () => link.connection() !== null)
    },
    stop: async () => {
      controller.abort()
      await ended
      await runtime.dispose()
    }
  }
}

export type PublishingReplica = Awaited<ReturnType<typeof startPublisher>>
