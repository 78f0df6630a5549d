import { randomUUID } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import type { RequestListener } from "node:http"
import { join, resolve } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Console, Effect, Exit, Layer, Schedule, Scope } from "effect"
import { ActorSystem } from "./actors/ActorSystem.ts"
import { Bus } from "./actors/Bus.ts"
import * as ReplicaActors from "./actors/ReplicaActors.ts"
import { ServerKey } from "./actors/ServerKey.ts"
import { StorageActor } from "./actors/StorageActor.ts"
import { readCommand } from "./CommandLine.ts"
import { endpointUrl, firstScreen, localUrl, trailsCommand } from "./FirstScreen.ts"
import { layerLogLines } from "./LogLines.ts"
import { Settings, type SettingsShape } from "./Settings.ts"
import { EX_CONFIG, loadSettings } from "./SettingsConfig.ts"
import type { Database } from "./storage/Database.ts"
import * as CommitHints from "./storage/CommitHints.ts"
import { DataDir } from "./storage/DataDir.ts"
import { Partitions } from "./storage/Partitions.ts"
import * as Storage from "./storage/Storage.ts"
import type { StoreError } from "./storage/StoreError.ts"
import { cascadeRunner } from "./supervision/CascadeRunner.ts"
import { commandExpiry } from "./supervision/CommandExpiry.ts"
import { DatabaseHealth } from "./supervision/DatabaseHealth.ts"
import { deadlines } from "./supervision/Deadlines.ts"
import { DeadlineTarget } from "./supervision/DeadlineTarget.ts"
import { EventOutlet } from "./supervision/EventOutlet.ts"
import { eventPublisher } from "./supervision/EventPublisher.ts"
import { exitPolicies } from "./supervision/ExitPolicy.ts"
import { HintTarget } from "./supervision/HintTarget.ts"
import { partitions } from "./supervision/Partitions.ts"
import { reaper } from "./supervision/Reaper.ts"
import { ReplicaLease } from "./supervision/ReplicaLease.ts"
import { shutdown, shutdownSteps } from "./supervision/Shutdown.ts"
import { startSupervisor, type Supervisor } from "./supervision/Supervisor.ts"
import { shareVerdictHold, VerdictHold } from "./supervision/VerdictHold.ts"
import { Telemetry } from "./Telemetry.ts"
import { layerTraces } from "./Traces.ts"
import { AdminKey } from "./transports/AdminKey.ts"
import type { NatsError } from "./transports/NatsError.ts"
import { HttpServer, type ListenError } from "./transports/HttpServer.ts"
import { makeBootHandler } from "./transports/BootHandler.ts"
import { Readiness } from "./transports/rest/HealthRoutes.ts"
import { makeRestHandler } from "./transports/RestServer.ts"
import { WATCH_PATH } from "./transports/rest/WatchRoutes.ts"
import { advertise } from "./transports/ServerAdvert.ts"
import { Waiters } from "./transports/Waiters.ts"
import { Watch } from "./transports/Watch.ts"
import { Watchers } from "./transports/Watchers.ts"
import { WebSocketServer } from "./transports/WebSocketServer.ts"

const EX_USAGE = 64
const EX_UNAVAILABLE = 69
const EX_SOFTWARE = 70
const EX_TEMPFAIL = 75

const version = (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string })
  .version

/** Beyond the delay that was asked for, before its step counts as stuck. */
const WITHDRAW_SLACK_MS = 500

/** What answers HTTP: first a stand-in, so that probes are answered while the database is waited for. */
interface Front {
  listener: RequestListener
}

/** Without embedded data and without a key to generate there is nothing to keep, as in a read-only container. */
const dataDirLayer = (settings: SettingsShape) =>
  settings.databaseUrl !== null &&
  settings.adminKeyFile !== null &&
  (settings.serverKey !== null || settings.serverKeyFile !== null)
    ? Layer.succeed(DataDir, { path: resolve(settings.dataDir), exposed: false })
    : DataDir.layer

/** As with the database: the client of NATS is loaded where there is NATS. */
const busLayer = ({ instance, nats }: SettingsShape): Layer.Layer<Bus | EventOutlet, NatsError, Telemetry | Settings> =>
  nats === null
    ? Layer.mergeAll(Bus.local, EventOutlet.none)
    : Layer.unwrap(
        Effect.promise(async () => {
          const [bus, outlet, { NatsLink }] = await Promise.all([
            import("./transports/NatsBus.ts"),
            import("./transports/JetStreamOutlet.ts"),
            import("./transports/NatsLink.ts")
          ])
          return Layer.mergeAll(bus.layer, outlet.layer).pipe(
            Layer.provideMerge(NatsLink.layer(nats, `trailsd ${instance}`))
          )
        })
      )

/** What needs no database. */
const foundation = (settings: SettingsShape, front: Front) =>
  Layer.mergeAll(
    ServerKey.layer,
    AdminKey.layer,
    busLayer(settings).pipe(Layer.provideMerge(Telemetry.layer)),
    layerTraces({ version, instance: settings.instance }),
    HttpServer.layer((request, response) => front.listener(request, response))
  ).pipe(Layer.provideMerge(dataDirLayer(settings)), Layer.provideMerge(Layer.succeed(Settings, settings)))

const pgliteFolder = (dataDir: string): string => join(dataDir, "pglite")

/** The adapter's module is loaded when it is chosen: neither start pays for the other one. */
const databaseLayer = (settings: SettingsShape, dataDir: string): Layer.Layer<Database, StoreError> =>
  Layer.unwrap(
    Effect.promise(async () => {
      const { databaseUrl } = settings
      return databaseUrl === null
        ? (await import("./storage/Pglite.ts")).layer({ folder: pgliteFolder(dataDir) })
        : (await import("./storage/Postgres.ts")).layer({ url: databaseUrl })
    })
  )

/** A wrong password or database name does not mend itself; what is merely away is waited for. */
const WRONG_ACCESS = new Set(["28000", "28P01", "3D000", "42501"])

const waitsFor = (error: { readonly _tag: string }): boolean =>
  error._tag === "StoreError" &&
  (error as StoreError).isRetryable &&
  !WRONG_ACCESS.has((error as StoreError).code ?? "")

/** The stores on a database that answers and whose tables are up to date. */
const openStores = (front: Front) =>
  Effect.scope.pipe(
    Effect.flatMap((scope) => Layer.buildWithScope(Layer.fresh(Storage.layer), scope)),
    Effect.tapError((error) => {
      if (!waitsFor(error)) return Effect.void
      front.listener = makeBootHandler(`waiting for the database: ${error.message}`)
      return Effect.logWarning(`waiting for the database, trying again every second: ${error.message}`)
    }),
    Effect.retry({ schedule: Schedule.spaced("1 second"), while: waitsFor })
  )

const replicaLayer = (settings: SettingsShape) => {
  const target = Layer.effect(
    DeadlineTarget,
    Effect.map(ActorSystem, ({ tell }) => ({ tell }))
  )
  const hints = Layer.effect(
    HintTarget,
    Effect.map(ActorSystem, ({ hint }) => ({ hint }))
  )
  const hold = Layer.effect(
    VerdictHold,
    Effect.map(WebSocketServer, ({ waiting }) => ({ held: () => waiting() > 0 }))
  )
  return Layer.mergeAll(target, hints, hold).pipe(
    Layer.provideMerge(WebSocketServer.layer),
    Layer.provideMerge(Layer.mergeAll(Watchers.layer.pipe(Layer.provideMerge(Watch.layer)), Waiters.layer)),
    Layer.provideMerge(ReplicaActors.layer()),
    Layer.provideMerge(StorageActor.layer),
    Layer.provideMerge(ReplicaLease.layer({ instance: settings.instance, version, ttlMs: settings.replicaLease })),
    Layer.provideMerge(DatabaseHealth.layer),
    Layer.provideMerge(CommitHints.cascadeLayer),
    Layer.provideMerge(CommitHints.layer)
  )
}

/** Runs until the process is told to stop, or a supervisor or the lease gives up. */
const run = Effect.fnUntraced(function* (front: Front, port: number, closeDatabase: Effect.Effect<void>) {
  const settings = yield* Settings
  const http = yield* HttpServer
  const sockets = yield* WebSocketServer
  const system = yield* ActorSystem
  const storage = yield* StorageActor
  const watch = yield* Watch
  const streams = yield* Watchers
  const waiters = yield* Waiters
  const lease = yield* ReplicaLease
  const health = yield* DatabaseHealth
  const bus = yield* Bus
  const telemetry = yield* Telemetry
  telemetry.gauge("actors", () => system.stats().actors)
  telemetry.gauge("mailbox_depth", () => system.stats().queued)
  telemetry.gauge("actors_rebuilt", () => system.stats().rebuilt)

  const start = <R>(name: string, children: Parameters<typeof startSupervisor<R>>[0]["children"]) =>
    startSupervisor<R>({ name, strategy: "one_for_one", children })
  const base = yield* start("base", [health.child, lease.child])
  const writers = yield* start("writers", storage.children)
  const actors = yield* start("actors", system.children)
  const watchers = yield* start("watch", [...watch.children, ...streams.children, ...waiters.children])
  const duties = yield* start("duties", [
    yield* shareVerdictHold,
    yield* deadlines({ disconnectGraceMs: settings.disconnectGrace }),
    yield* reaper,
    yield* cascadeRunner,
    yield* commandExpiry,
    yield* exitPolicies,
    partitions((yield* Partitions).ensure),
    ...(settings.nats === null ? [] : [yield* eventPublisher])
  ])
  const supervisors = [base, writers, actors, watchers, duties]
  const over = Effect.raceAllFirst([lease.lost, ...supervisors.map(({ escalated }) => escalated)])
  let leaving = false
  const stop = shutdown(
    shutdownSteps({
      // Who has given up by itself can serve nobody meanwhile.
      withdraw: {
        withinMs: settings.drainDelay + WITHDRAW_SLACK_MS,
        run: Effect.ignore(Effect.timeoutOption(over, settings.drainDelay))
      },
      stopAccepting: Effect.suspend(() => {
        front.listener = makeBootHandler("stopping")
        return http.stopAccepting
      }),
      drain: Effect.all([streams.close, waiters.close, sockets.drain]),
      duties: Effect.andThen(duties.stop, watchers.stop),
      actors: Effect.andThen(system.stop, actors.stop),
      writers: writers.stop,
      lease: Effect.andThen(lease.release, base.stop),
      database: closeDatabase
    })
  )

  const serving = Effect.gen(function* () {
    const rest = yield* makeRestHandler({ newId: randomUUID, version }).pipe(
      Effect.provideService(Readiness, {
        problems: () =>
          leaving ? ["stopping"] : readinessProblems(health, lease, storage, [base, writers, actors, watchers]),
        notes: () => (bus.connected() ? [] : ["no connection to NATS; the log says why"])
      })
    )
    front.listener = rest.onRequest
    sockets.upgradesAt(WATCH_PATH, rest.onUpgrade)
    yield* health.awaitUp
    const { generatedFile } = yield* AdminKey
    if (generatedFile !== null) {
      const warning = yield* advertise(port, {
        endpoint: endpointUrl(settings, port),
        url: localUrl(settings, port),
        level: settings.minLevel,
        serverPubKey: (yield* ServerKey).publicKey,
        adminKeyFile: generatedFile,
        pid: process.pid
      })
      if (warning !== null) yield* Effect.logWarning(warning)
    }
    yield* Console.log(
      firstScreen({
        version,
        trails: trailsCommand(process.cwd(), process.env["PATH"] ?? ""),
        settings,
        port,
        serverKey: (yield* ServerKey).publicKey,
        adminKeyFile: generatedFile,
        dataDir: (yield* DataDir).path
      })
    )
    return yield* over
  })
  return yield* serving.pipe(
    Effect.ensuring(
      Effect.suspend(() => {
        leaving = true
        heedSecondSignal()
        return stop
      })
    )
  )
})

const readinessProblems = (
  health: DatabaseHealth["Service"],
  lease: ReplicaLease["Service"],
  storage: StorageActor["Service"],
  supervisors: ReadonlyArray<Supervisor>
): ReadonlyArray<string> => [
  ...(health.up() ? [] : ["the database does not answer"]),
  ...(health.up() && storage.stats().trouble !== null
    ? [`nothing is stored at the moment: ${storage.stats().trouble}`]
    : []),
  ...(lease.holds() ? [] : ["this replica does not hold its lease"]),
  ...supervisors.flatMap((supervisor) =>
    supervisor
      .children()
      .filter(({ state }) => state !== "running" && state !== "done")
      .map(({ id, state }) => `${supervisor.name}: ${id} is ${state}; the log says why`)
  )
]

/** A second Ctrl-C ends a stop that takes too long. npm hands the first one on as well: that echo is not meant. */
const ECHO_MS = 500

const heedSecondSignal = (): void => {
  const from = performance.now()
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (performance.now() - from > ECHO_MS) process.exit(EX_SOFTWARE)
    })
  }
}

const serve = Effect.fnUntraced(function* (front: Front) {
  const settings = yield* Settings
  const dataDir = yield* DataDir
  if (dataDir.exposed) {
    yield* Effect.logWarning(`other users can enter ${dataDir.path}, which holds keys: chmod 700 ${dataDir.path}`)
  }
  const { port } = yield* (yield* HttpServer).listen
  // A scope of its own: the database is closed as the last step of a stop, within that step's budget.
  const scope = yield* Effect.acquireRelease(Scope.make(), (made, exit) => Scope.close(made, exit))
  if (settings.databaseUrl === null && !existsSync(pgliteFolder(dataDir.path))) {
    yield* Effect.logInfo("making the embedded database; the first start takes some seconds")
  }
  const database = yield* Layer.buildWithScope(databaseLayer(settings, dataDir.path), scope)
  const stores = yield* Effect.provideContext(openStores(front), database)
  return yield* run(front, port, Scope.close(scope, Exit.void)).pipe(
    Effect.provide(replicaLayer(settings)),
    Effect.provideContext(stores),
    Effect.provideContext(database)
  )
})

/** Refusals that an operator can do something about, by tag; each message names the remedy. */
const EXIT_CODES: Readonly<Record<string, number>> = {
  SettingsError: EX_CONFIG,
  KeyFileError: EX_CONFIG,
  MigrationError: EX_CONFIG,
  NatsError: EX_CONFIG,
  DataDirError: EX_UNAVAILABLE,
  ListenError: EX_UNAVAILABLE,
  StoreError: EX_CONFIG,
  SupervisorFailed: EX_SOFTWARE,
  LeaseLost: EX_TEMPFAIL
}

const exitCodeOf = (error: { readonly _tag: string }): number =>
  error._tag === "ListenError" && (error as ListenError).reason === "Tls"
    ? EX_CONFIG
    : (EXIT_CODES[error._tag] ?? EX_SOFTWARE)

const terminal = process.stderr.isTTY === true

/** Everything that ends it by itself becomes log lines and an exit code. */
const trailsd = Effect.gen(function* () {
  const { settings, warnings } = yield* loadSettings(process.env)
  const front: Front = { listener: makeBootHandler("starting") }
  return yield* Effect.forEach(warnings, (warning) => Effect.logWarning(warning), { discard: true }).pipe(
    Effect.andThen(Effect.scoped(Effect.provide(serve(front), foundation(settings, front)))),
    Effect.provide(layerLogLines(settings.logLevel, terminal))
  )
}).pipe(
  Effect.catch((error) =>
    Effect.forEach(error.message.split("\n"), (line) => Effect.logFatal(line), { discard: true }).pipe(
      Effect.as(exitCodeOf(error))
    )
  ),
  Effect.catchCauseIf(Cause.hasDies, (cause) =>
    Effect.as(Effect.logFatal("trailsd failed by a defect; please report it with these lines", cause), EX_SOFTWARE)
  ),
  Effect.provide(layerLogLines("info", terminal))
)

/** Nobody reads on (`trailsd | head`): no reason to stop serving. */
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {})

// A throw outside of every Effect: what it left half done is not known, so nothing is flushed; a restart takes over.
process.on("uncaughtException", (error) => {
  Effect.runSync(
    Effect.logFatal("trailsd failed by a defect; please report it with these lines", Cause.die(error)).pipe(
      Effect.provide(layerLogLines("info", terminal))
    )
  )
  process.exit(EX_SOFTWARE)
})

const command = readCommand(process.argv.slice(2), version)
if (command._tag === "Serve") {
  NodeRuntime.runMain(trailsd, {
    disableErrorReporting: true,
    // Told to stop, and stopped: that is what was wanted.
    teardown: (exit, end) =>
      end(Exit.isSuccess(exit) ? Number(exit.value) : Cause.hasInterruptsOnly(exit.cause) ? 0 : EX_SOFTWARE)
  })
} else if (command._tag === "Print") {
  process.stdout.write(`${command.text}\n`)
} else {
  process.stderr.write(`${command.text}\n`)
  process.exitCode = EX_USAGE
}
