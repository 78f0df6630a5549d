import type { RequestListener } from "node:http"
import { Effect, Layer, ManagedRuntime } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import { importSecretKey } from "../../src/actors/Ed25519.ts"
import { ServerKey } from "../../src/actors/ServerKey.ts"
import { Settings, type SettingsShape } from "../../src/Settings.ts"
import * as CommitHints from "../../src/storage/CommitHints.ts"
import * as MemoryNodeStore from "../../src/storage/MemoryNodeStore.ts"
import { MemoryTables } from "../../src/storage/MemoryTables.ts"
import * as MemoryTreeLog from "../../src/storage/MemoryTreeLog.ts"
import * as MemoryTreeQueries from "../../src/storage/MemoryTreeQueries.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import type { TreeLog } from "../../src/storage/TreeLog.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { HttpServer } from "../../src/transports/HttpServer.ts"
import { SOCKET_LIMITS, type SocketLimits } from "../../src/transports/SocketLimits.ts"
import { Watch } from "../../src/transports/Watch.ts"
import { WebSocketServer } from "../../src/transports/WebSocketServer.ts"
import { makeKeypair } from "../harness/Keypair.ts"
import { FakeActors } from "./FakeActors.ts"

export const SETTINGS: SettingsShape = {
  databaseUrl: null,
  nats: null,
  events: { maxAge: 604_800_000, maxBytes: 1_073_741_824, dedupe: 120_000, replicas: null },
  listen: { host: "127.0.0.1", port: 0 },
  tls: null,
  instance: "test",
  dataDir: "unused",
  serverKey: null,
  serverKeyFile: null,
  adminKeyFile: null,
  minLevel: "open",
  admission: "open",
  publicUrl: null,
  allowedOrigins: [],
  defaultStartDeadline: 300,
  disconnectGrace: 1500,
  reconnectWindow: 60_000,
  replicaLease: 15_000,
  drainDelay: 0,
  pingInterval: 30_000,
  maxFrame: 1024 * 1024,
  logLevel: "error",
  loopback: true
}

const serverKeys = makeKeypair()

/** The WebSocket transport on a free loopback port, with `FakeActors` behind it. */
export const startTransport = async (
  changes: Partial<SettingsShape> = {},
  limits: Partial<SocketLimits> = {},
  onRequest: RequestListener = (_, response) => response.end("rest"),
  log: Layer.Layer<TreeLog, never, MemoryTables> = MemoryTreeLog.layer
) => {
  const settings = { ...SETTINGS, ...changes }
  const actors = new FakeActors()
  const socketLimits = { ...SOCKET_LIMITS, ...limits }
  const watch = Layer.effectDiscard(
    Effect.flatMap(Watch, ({ children }) =>
      Effect.forEach(children, ({ start }) => Effect.forkScoped(start), { discard: true })
    )
  ).pipe(
    Layer.provideMerge(Watch.layerWith(socketLimits)),
    Layer.provideMerge(Layer.mergeAll(CommitHints.layer, log, MemoryTreeQueries.layer)),
    Layer.provideMerge(MemoryNodeStore.layer),
    Layer.provideMerge(MemoryTables.layer)
  )
  const dependencies = Layer.mergeAll(
    HttpServer.layer(onRequest),
    // The transport uses `tell` alone.
    Layer.succeed(ActorSystem, { tell: actors.tell } as unknown as ActorSystem["Service"]),
    watch,
    Layer.succeed(ServerKey, {
      publicKey: serverKeys.text,
      secret: importSecretKey(serverKeys.secretKey),
      source: "test"
    })
  ).pipe(Layer.provideMerge(Telemetry.layer), Layer.provideMerge(Layer.succeed(Settings, settings)))
  const runtime = ManagedRuntime.make(WebSocketServer.layerWith(socketLimits).pipe(Layer.provideMerge(dependencies)))
  const sockets = await runtime.runPromise(WebSocketServer)
  const store = await runtime.runPromise(NodeStore)
  // The same tables as another replica sees them: no commit of it is told here.
  const elsewhere = await runtime.runPromise(Effect.provide(NodeStore, Layer.fresh(MemoryNodeStore.layer)))
  const hints = await runtime.runPromise(CommitHints.CommitHints)
  const watching = await runtime.runPromise(Watch)
  const { port } = await runtime.runPromise(HttpServer.use((server) => server.listen))
  return {
    actors,
    sockets,
    /** The nodes that are watched; the actors are no part of it. */
    store,
    elsewhere,
    hints,
    watching,
    port,
    serverKeys,
    url: `${settings.tls === null ? "ws" : "wss"}://127.0.0.1:${port}/ws`,
    drain: () => runtime.runPromise(sockets.drain),
    stop: () => runtime.dispose()
  }
}

export type Transport = Awaited<ReturnType<typeof startTransport>>
