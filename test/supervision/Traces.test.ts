import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { layerTraces } from "../../src/Traces.ts"

interface Received {
  readonly path: string
  readonly body: string
}

const collector = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly received: Array<Received>; readonly close: () => void }>(
    (resume) => {
      const received: Array<Received> = []
      const server = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += chunk))
        request.on("end", () => {
          received.push({ path: request.url ?? "", body })
          response.writeHead(200, { "content-type": "application/json" }).end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
            received,
            close: () => {
              server.close()
              server.closeAllConnections()
            }
          })
        )
      )
    }
  ),
  ({ close }) => Effect.sync(close)
)

/** Opens one span with tracing configured by `env`; closing the layer flushes it. */
const oneSpan = (env: Record<string, string>) =>
  Effect.void.pipe(
    Effect.withSpan("storage.migrate"),
    Effect.provide(
      layerTraces({ version: "1.2.3", instance: "here" }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
      )
    )
  )

describe("traces", () => {
  it.live("go to OTEL_EXPORTER_OTLP_ENDPOINT as OTLP JSON, with the service as resource", () =>
    Effect.gen(function* () {
      const { received, url } = yield* collector
      yield* oneSpan({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=test" })
      assert.deepStrictEqual(
        received.map(({ path }) => path),
        ["/v1/traces"]
      )
      const body = received[0]!.body
      assert.include(body, "storage.migrate")
      assert.include(body, '{"key":"service.name","value":{"stringValue":"trailsd"}}')
      assert.include(body, '{"key":"service.version","value":{"stringValue":"1.2.3"}}')
      assert.include(body, '{"key":"deployment.environment","value":{"stringValue":"test"}}')
    })
  )

  for (const [title, env] of [
    ["OTEL_SERVICE_NAME", { OTEL_SERVICE_NAME: "edge" }],
    ["OTEL_RESOURCE_ATTRIBUTES", { OTEL_RESOURCE_ATTRIBUTES: "a=b,service.name=edge" }]
  ] as ReadonlyArray<[string, Record<string, string>]>) {
    it.live(`the service's name may come from ${title}`, () =>
      Effect.gen(function* () {
        const { received, url } = yield* collector
        yield* oneSpan({ OTEL_EXPORTER_OTLP_ENDPOINT: url, ...env })
        assert.include(received[0]!.body, '{"key":"service.name","value":{"stringValue":"edge"}}')
      })
    )
  }

  it.live("nothing is sent without an endpoint, or when OTEL_TRACES_EXPORTER is none", () =>
    Effect.gen(function* () {
      const { received, url } = yield* collector
      yield* oneSpan({})
      yield* oneSpan({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_EXPORTER: "none" })
      yield* oneSpan({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: "true" })
      assert.deepStrictEqual(received, [])
    })
  )

  it.live("a value that cannot be read switches them off and does not keep the server from starting", () =>
    Effect.gen(function* () {
      const { received, url } = yield* collector
      yield* oneSpan({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_EXPORTER_OTLP_TIMEOUT: "soon" })
      yield* oneSpan({ OTEL_EXPORTER_OTLP_ENDPOINT: "not a url" })
      assert.deepStrictEqual(received, [])
    })
  )
})
