import { Config, ConfigProvider, Effect, Layer, Option } from "effect"

/**
 * OTLP traces over HTTP/JSON, on only when OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) is set; the other OTEL_*
 * variables as OpenTelemetry defines them. Without it nothing is imported and the default tracer keeps spans in memory
 * for the length of their effect only. The hot path opens no span per message (DESIGN §9).
 */
export const layerTraces = (service: { readonly version: string; readonly instance: string }): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const configured = yield* Config.all([
        Config.option(Config.String("OTEL_EXPORTER_OTLP_ENDPOINT")),
        Config.option(Config.String("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
      ])
      if (!configured.some((endpoint) => Option.isSome(endpoint) && endpoint.value.trim() !== "")) return Layer.empty
      const name = yield* Config.String("OTEL_SERVICE_NAME").pipe(Config.withDefault(""))
      const attributes = yield* Config.String("OTEL_RESOURCE_ATTRIBUTES").pipe(Config.withDefault(""))
      const [tracer, serialization, client] = yield* Effect.promise(() =>
        Promise.all([
          import("effect/observability/OtlpTracer"),
          import("effect/observability/OtlpSerialization"),
          import("effect/http/FetchHttpClient")
        ])
      )
      return tracer
        .layerFromConfig({
          resource: {
            // The environment's own name wins, also the one inside OTEL_RESOURCE_ATTRIBUTES.
            serviceName: name !== "" || /(^|,)\s*service\.name=/.test(attributes) ? undefined : "trailsd",
            serviceVersion: service.version,
            attributes: { "service.instance.id": service.instance }
          }
        })
        .pipe(
          Layer.provide(serialization.layerJson),
          Layer.provide(client.layer),
          // OpenTelemetry's default exporter is otlp; OTEL_TRACES_EXPORTER=none still switches it off.
          Layer.provide(ConfigProvider.layerAdd(ConfigProvider.fromEnvRecord({ OTEL_TRACES_EXPORTER: "otlp" })))
        )
    })
  ).pipe(
    Layer.catchCause(() =>
      Layer.effectDiscard(Effect.logWarning("traces are off: an OTEL_* variable could not be read; check their values"))
    )
  )
