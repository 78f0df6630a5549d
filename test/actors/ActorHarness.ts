import { randomUUID } from "node:crypto"
import { Context, Deferred, Effect, Layer } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import { Bus } from "../../src/actors/Bus.ts"
import { importSeed } from "../../src/actors/Ed25519.ts"
import { defaultActorOptions, type LocalActorSystemOptions } from "../../src/actors/LocalActorSystem.ts"
import type { Admission, IntentAnswer } from "../../src/actors/NodeMessage.ts"
import * as ReplicaActors from "../../src/actors/ReplicaActors.ts"
import { ServerKey } from "../../src/actors/ServerKey.ts"
import { entry, writeOf } from "../../src/actors/node/commit.ts"
import { StorageActor } from "../../src/actors/StorageActor.ts"
import { decodeEnvelope, isEnvelopeProblem } from "../../src/protocol/Envelope.ts"
import type {
  CapabilitiesFrame,
  ControlResultFrame,
  Decoded,
  DisconnectFrame,
  Level,
  MessageFrame,
  MsgType,
  RegisterFrame,
  ReRegisterFrame
} from "../../src/protocol/Frames.ts"
import { encodeFrame } from "../../src/protocol/FrameEncoder.ts"
import { Settings, type SettingsShape } from "../../src/Settings.ts"
import * as CommitHints from "../../src/storage/CommitHints.ts"
import { NodeQueries } from "../../src/storage/NodeQueries.ts"
import type { LogRow } from "../../src/storage/LogRow.ts"
import type { HotState, NodeRow } from "../../src/storage/NodeRow.ts"
import { NodeStore } from "../../src/storage/NodeStore.ts"
import * as Storage from "../../src/storage/Storage.ts"
import { ReplicaLease } from "../../src/supervision/ReplicaLease.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { startSupervisor } from "../../src/supervision/Supervisor.ts"
import * as EmbeddedCopy from "../harness/EmbeddedCopy.ts"
import { FakeSession } from "./FakeSession.ts"
import { keypair, SERVER } from "./certificates.ts"

export { childInfo, keypair, SERVER } from "./certificates.ts"

export const settings = (patch: Partial<SettingsShape> = {}): SettingsShape => ({
  databaseUrl: null,
  nats: null,
  events: { maxAge: 604_800_000, maxBytes: 1_073_741_824, dedupe: 120_000, replicas: null },
  listen: { host: "127.0.0.1", port: 0 },
  tls: null,
  instance: "test",
  dataDir: "",
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
  maxFrame: 1_048_576,
  logLevel: "error",
  loopback: true,
  ...patch
})

const envelopeOf = (text: string) => {
  const envelope = decodeEnvelope(text)
  if (isEnvelopeProblem(envelope)) throw new Error(envelope.problem)
  return envelope
}

const decoded = <
  F extends CapabilitiesFrame | RegisterFrame | ReRegisterFrame | MessageFrame | DisconnectFrame | ControlResultFrame
>(
  frame: F,
  payload: string | null = null
): Decoded<F> => {
  const raw = JSON.stringify(payload === null ? frame : { ...frame, payload: JSON.parse(payload) as unknown })
  return { frame, raw, bytes: raw.length, payload }
}

export interface Registering {
  readonly appId: string
  readonly parentId?: string | null
  readonly key?: string
  readonly info?: string
  readonly verified?: boolean
  readonly floor?: Level
  readonly session?: FakeSession
}

export class Harness extends Context.Service<
  Harness,
  {
    readonly boot: string
    readonly register: (
      who: Registering
    ) => Effect.Effect<{ readonly session: FakeSession; readonly admission: Admission }>
    readonly reRegister: (
      who: Registering & { readonly incarnation?: number }
    ) => Effect.Effect<{ readonly session: FakeSession; readonly admission: Admission }>
    readonly say: (
      session: FakeSession,
      appId: string,
      seq: number,
      type?: MsgType,
      payload?: string,
      correlationId?: string
    ) => Effect.Effect<void>
    readonly disconnect: (session: FakeSession, appId: string, seq: number, reason: string) => Effect.Effect<void>
    readonly answer: (
      session: FakeSession,
      appId: string,
      correlationId: string,
      ack: boolean,
      result?: string
    ) => Effect.Effect<void>
    readonly capable: (
      session: FakeSession,
      appId: string,
      names: ReadonlyArray<string>,
      graceMs: number
    ) => Effect.Effect<void>
    readonly lose: (session: FakeSession, appId: string, cause: "peer" | "heartbeat" | "server") => Effect.Effect<void>
    readonly declare: (info: string, parentId: string | null, replaces?: string | null) => Effect.Effect<IntentAnswer>
    readonly deleteIntent: (appId: string) => Effect.Effect<IntentAnswer>
    readonly hint: (appId: string, tag: "Commanded" | "Deadline" | "Orphaned" | "Moved") => Effect.Effect<void>
    /** A re-registration behind a deadline's hint, both before the actor runs. */
    readonly together: (
      appId: string
    ) => Effect.Effect<{ readonly session: FakeSession; readonly admission: Admission }>
    /** Another replica moves the row: epoch + 1. */
    readonly moveTo: (appId: string, hot: Partial<HotState>) => Effect.Effect<void>
    readonly row: (appId: string) => Effect.Effect<NodeRow>
    readonly kinds: (appId: string) => Effect.Effect<ReadonlyArray<string>>
    readonly log: (appId: string) => Effect.Effect<ReadonlyArray<LogRow>>
  }
>()("test/Harness") {}

const wait = (reason: string, predicate: () => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 10_000; i++) {
      if (predicate()) return
      yield* Effect.sleep(1)
    }
    return yield* Effect.die(new Error(`waited in vain: ${reason}`))
  })

const make = Effect.gen(function* () {
  const system = yield* ActorSystem
  const storage = yield* StorageActor
  const store = yield* NodeStore
  const queries = yield* NodeQueries
  const { boot } = yield* ReplicaLease
  yield* startSupervisor({
    name: "actors",
    strategy: "one_for_one",
    children: [...storage.children, ...system.children]
  })

  // A stranger's frame behind the message: it changes nothing, and its credit comes back when the turn is over.
  const quiet = (appId: string) =>
    Effect.suspend(() => {
      const stranger = new FakeSession()
      const frame: DisconnectFrame = { type: "disconnect", app_id: appId, reason: "" }
      system.tell(appId, { _tag: "Data", session: stranger, decoded: decoded(frame) })
      return wait(`the turn of ${appId} is over`, () => stranger.settled.frames === 1)
    })
  const tell = (appId: string, message: Parameters<typeof system.tell>[1]) =>
    Effect.andThen(
      Effect.sync(() => system.tell(appId, message)),
      quiet(appId)
    )

  const registerFrame = (who: Registering): RegisterFrame => ({
    type: "register",
    app_id: who.appId,
    parent_id: who.parentId ?? null,
    app_name: "node",
    child_pub_key: who.key ?? keypair(who.appId).key,
    process_info: { pid: 1, ppid: 0, uid: 0, gid: 0, hostname: "h", start_time: 0, executable: "x" },
    role_refs: [],
    ...(who.info === undefined ? {} : { info: who.info })
  })

  return Harness.of({
    boot,
    register: Effect.fnUntraced(function* (who) {
      const session = who.session ?? new FakeSession()
      const reply = yield* Deferred.make<Admission>()
      yield* tell(who.appId, {
        _tag: "Register",
        session,
        decoded: decoded(registerFrame(who)),
        verified: who.verified ?? false,
        floor: who.floor ?? "open",
        envelope: who.info === undefined ? null : envelopeOf(who.info),
        reply
      })
      return { session, admission: yield* Deferred.await(reply) }
    }),
    reRegister: Effect.fnUntraced(function* (who) {
      const session = who.session ?? new FakeSession()
      const reply = yield* Deferred.make<Admission>()
      const frame: ReRegisterFrame = {
        type: "re_register",
        app_id: who.appId,
        incarnation: who.incarnation ?? 1,
        last_seq: 0,
        pub_key: who.key ?? keypair(who.appId).key
      }
      yield* tell(who.appId, {
        _tag: "ReRegister",
        session,
        decoded: decoded(frame),
        verified: who.verified ?? false,
        floor: who.floor ?? "open",
        reply
      })
      return { session, admission: yield* Deferred.await(reply) }
    }),
    say: (session, appId, seq, type = "Status", payload = `{"seq":${seq}}`, correlationId) =>
      tell(appId, {
        _tag: "Data",
        session,
        decoded: decoded<MessageFrame>(
          {
            type: "message",
            app_id: appId,
            header: { msg_type: type, timestamp: 0, seq, correlation_id: correlationId ?? null },
            ...(session.dialect === "v1" ? { incarnation: session.find("registered")?.incarnation ?? 1 } : {})
          },
          payload
        )
      }),
    disconnect: (session, appId, seq, reason) =>
      tell(appId, {
        _tag: "Data",
        session,
        decoded: decoded<DisconnectFrame>({
          type: "disconnect",
          app_id: appId,
          incarnation: session.find("registered")?.incarnation ?? 1,
          seq,
          reason
        })
      }),
    answer: (session, appId, correlationId, ack, result = "null") => {
      const frame: ControlResultFrame = {
        type: "control_result",
        app_id: appId,
        correlation_id: correlationId,
        ack,
        ...(ack ? {} : { error: "unknown_action" })
      }
      const raw = encodeFrame(frame, ack ? result : null)
      return tell(appId, {
        _tag: "ControlResult",
        session,
        decoded: { frame, raw, bytes: raw.length, payload: ack ? result : null }
      })
    },
    capable: (session, appId, names, graceMs) =>
      tell(appId, {
        _tag: "Capabilities",
        session,
        decoded: decoded<CapabilitiesFrame>({
          type: "capabilities",
          app_id: appId,
          incarnation: 1,
          capabilities: names,
          cancel_grace_ms: graceMs
        })
      }),
    lose: (session, appId, cause) => tell(appId, { _tag: "SocketLost", session, cause }),
    declare: Effect.fnUntraced(function* (text, parentId, replaces = null) {
      const reply = yield* Deferred.make<IntentAnswer>()
      const envelope = envelopeOf(text)
      const by = { actor: parentId === null ? "admin" : `node:${parentId}`, nodeId: parentId }
      yield* tell(envelope.appId, { _tag: "Declare", envelope, info: text, replaces, by, reply })
      return yield* Deferred.await(reply)
    }),
    deleteIntent: Effect.fnUntraced(function* (appId) {
      const reply = yield* Deferred.make<IntentAnswer>()
      yield* tell(appId, { _tag: "DeleteIntent", by: { actor: "admin", nodeId: null }, reply })
      return yield* Deferred.await(reply)
    }),
    hint: (appId, tag) => tell(appId, tag === "Orphaned" ? { _tag: tag, owner: boot } : { _tag: tag }),
    together: Effect.fnUntraced(function* (appId) {
      const session = new FakeSession()
      const reply = yield* Deferred.make<Admission>()
      const frame: ReRegisterFrame = {
        type: "re_register",
        app_id: appId,
        incarnation: 1,
        last_seq: 0,
        pub_key: keypair(appId).key
      }
      system.tell(appId, {
        _tag: "ReRegister",
        session,
        decoded: decoded(frame),
        verified: false,
        floor: "open",
        reply
      })
      system.tell(appId, { _tag: "Deadline" })
      yield* quiet(appId)
      return { session, admission: yield* Deferred.await(reply) }
    }),
    moveTo: Effect.fnUntraced(function* (appId, hot) {
      const row = yield* Effect.orDie(store.read(appId))
      if (row === null) return yield* Effect.die(new Error(`no node ${appId}`))
      const change = {
        hot: { ...hot, epoch: row.epoch + 1 },
        deadlineIn: "keep" as const,
        rows: [entry("recovered", 1, null)]
      }
      yield* Effect.orDie(store.append(0, [writeOf(row, randomUUID(), change)]))
    }),
    row: (appId) =>
      Effect.filterOrElse(
        Effect.orDie(store.read(appId)),
        (row): row is NodeRow => row !== null,
        () => Effect.die(new Error(`no node ${appId}`))
      ),
    log: (appId) => Effect.orDie(queries.log(appId, 0, 1000)),
    kinds: (appId) => Effect.map(Effect.orDie(queries.log(appId, 0, 1000)), (rows) => rows.map((row) => row.kind))
  })
})

/** One replica's real actors on the stores that it is given; sessions are arrays, sockets there are none. */
export const replicaLayer = (
  patch: Partial<SettingsShape> = {},
  options: LocalActorSystemOptions = defaultActorOptions,
  /** Fault verbs: what the actors see instead of the store. */
  wrap: (store: NodeStore["Service"]) => NodeStore["Service"] = (store) => store,
  bus: Layer.Layer<Bus> = Bus.local
) => {
  const boot = randomUUID()
  const wrapped = Layer.effect(NodeStore, Effect.map(NodeStore, wrap))
  return Layer.effect(Harness, make).pipe(
    Layer.provideMerge(ReplicaActors.layer({ ...options, workers: 16 })),
    Layer.provideMerge(StorageActor.layer),
    Layer.provideMerge(CommitHints.layer),
    Layer.provideMerge(wrapped),
    Layer.provideMerge(
      Layer.mergeAll(
        bus,
        Telemetry.layer,
        Layer.succeed(Settings, settings(patch)),
        Layer.succeed(ServerKey, { publicKey: SERVER.key, source: "test", secret: importSeed(SERVER.seed) }),
        Layer.succeed(ReplicaLease, {
          boot,
          ttlMs: 15_000,
          holds: () => true,
          steadyFor: () => 1_000_000,
          isCutOff: () => false,
          heedReaped: () => Effect.void,
          lost: Effect.never,
          release: Effect.void,
          child: {
            id: "lease",
            restart: "temporary",
            intensity: { restarts: 0, withinMs: 1 },
            shutdownMs: 0,
            start: Effect.never
          }
        })
      )
    )
  )
}

/** One replica on an embedded database with the real SQL. */
export const layer = (
  patch: Partial<SettingsShape> = {},
  options: LocalActorSystemOptions = defaultActorOptions,
  wrap: (store: NodeStore["Service"]) => NodeStore["Service"] = (store) => store
) => replicaLayer(patch, options, wrap).pipe(Layer.provideMerge(Storage.layer), Layer.provideMerge(EmbeddedCopy.layer))
