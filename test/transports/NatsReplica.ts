import { Effect, Layer, Logger, ManagedRuntime, Redacted } from "effect"
import { Bus } from "../../src/actors/Bus.ts"
import type { NatsLogin, NatsSettings } from "../../src/Settings.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import * as NatsBus from "../../src/transports/NatsBus.ts"
import { NATS_LIMITS, NatsLink, type NatsLimits } from "../../src/transports/NatsLink.ts"
import { metric, parseMetrics } from "../harness/Metrics.ts"
import type { NatsServer } from "../harness/NatsServer.ts"
import { waitUntil } from "../harness/waitUntil.ts"

/** Quick, so that a test that waits for a server's death does not wait long; and every line of trouble. */
export const QUICK: NatsLimits = { ...NATS_LIMITS, retryMs: [20, 100], pulseMs: 100, answerMs: 1000, sayMs: 0 }

export const natsSettings = (
  servers: ReadonlyArray<Pick<NatsServer, "port">>,
  login: NatsLogin | null = null,
  changes: Partial<NatsSettings> = {}
): NatsSettings => ({
  servers: servers.map(({ port }) => ({ host: "127.0.0.1", port })),
  tls: false,
  login: login === null ? null : Redacted.make(login),
  credsFile: null,
  // Debian's server is older than what production is allowed.
  anyVersion: true,
  ...changes
})

/** The bus of a replica as trailsd has it, with its link, its figures and its log lines. */
export const startReplica = async (nats: NatsSettings, limits: Partial<NatsLimits> = {}) => {
  const lines: Array<string> = []
  const log = Logger.make(({ cause, logLevel, message }) => {
    lines.push(`${logLevel} ${[message].flat().map(String).join(" ")} ${String(cause)}`)
  })
  const runtime = ManagedRuntime.make(
    NatsBus.layer.pipe(
      Layer.provideMerge(NatsLink.layer(nats, "trailsd test", { ...QUICK, ...limits })),
      Layer.provideMerge(Telemetry.layer),
      Layer.provideMerge(Logger.layer([log]))
    )
  )
  const { bus, link, telemetry } = await runtime.runPromise(
    Effect.all({ bus: Bus, link: NatsLink, telemetry: Telemetry })
  )
  return {
    bus,
    link,
    lines,
    metric: async (name: string, labels = "") =>
      metric(parseMetrics(await runtime.runPromise(telemetry.render)), `trails_${name}${labels}`),
    connected: () => waitUntil("connected to NATS", () => link.connection() !== null),
    dispose: () => runtime.dispose()
  }
}

export type Replica = Awaited<ReturnType<typeof startReplica>>
