import { randomUUID } from "node:crypto"
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import { ActorSystem } from "../../src/actors/ActorSystem.ts"
import { defaultActorOptions } from "../../src/actors/LocalActorSystem.ts"
import type { ControlFrame } from "../../src/protocol/Frames.ts"
import { CommandStore, type CommandRow } from "../../src/storage/CommandStore.ts"
import type { StoreError } from "../../src/storage/StoreError.ts"
import { Telemetry } from "../../src/Telemetry.ts"
import { type WaiterLimits, Waiters } from "../../src/transports/Waiters.ts"
import { LossyBus } from "../harness/LossyBus.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { type OpenStorage, shared } from "../storage/openStorage.ts"
import { Harness, replicaLayer } from "./ActorHarness.ts"
import type { FakeSession } from "./FakeSession.ts"

export interface ReplicaOptions {
  /** False: what no hint tells of is never found. */
  readonly polls: boolean
}

const withWaiters = (limits: WaiterLimits) =>
  Layer.effectDiscard(
    Effect.flatMap(Waiters, ({ children }) =>
      Effect.forEach(children, ({ start }) => Effect.forkScoped(start), { discard: true })
    )
  ).pipe(Layer.provideMerge(Waiters.layerWith(limits)))

/** As long as any test: no look at the log without a hint. */
const NEVER_MS = 3_600_000

const runtimeOf = (storage: OpenStorage, bus: LossyBus, { polls }: ReplicaOptions, lines: Array<string>) => {
  const commands = Layer.effect(
    CommandStore,
    Effect.map(CommandStore, (store) => (polls ? store : { ...store, untold: () => Effect.succeed([]) }))
  )
  const own = withWaiters({ waiters: 1000, sweepMs: polls ? 200 : NEVER_MS })
  return ManagedRuntime.make(
    own.pipe(
      Layer.provideMerge(replicaLayer({ disconnectGrace: 0 }, defaultActorOptions, (store) => store, bus.layer)),
      Layer.provideMerge(commands.pipe(Layer.provideMerge(shared(storage)))),
      Layer.provideMerge(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
    )
  )
}

export const controls = (session: FakeSession): ReadonlyArray<ControlFrame> =>
  session.sent.filter((frame): frame is ControlFrame => frame.type === "control")

/** One of two replicas. */
class Replica {
  readonly harness: Harness["Service"]
  readonly system: ActorSystem["Service"]
  readonly waiters: Waiters["Service"]
  /** What it has logged. */
  readonly lines: ReadonlyArray<string>
  readonly #commands: CommandStore["Service"]
  readonly #telemetry: Telemetry["Service"]
  readonly #runtime: ReturnType<typeof runtimeOf>

  private constructor(
    runtime: ReturnType<typeof runtimeOf>,
    harness: Harness["Service"],
    system: ActorSystem["Service"],
    waiters: Waiters["Service"],
    commands: CommandStore["Service"],
    telemetry: Telemetry["Service"],
    lines: ReadonlyArray<string>
  ) {
    this.lines = lines
    this.#runtime = runtime
    this.harness = harness
    this.system = system
    this.waiters = waiters
    this.#commands = commands
    this.#telemetry = telemetry
  }

  static async start(storage: OpenStorage, bus: LossyBus, options: ReplicaOptions): Promise<Replica> {
    const lines: Array<string> = []
    const runtime = runtimeOf(storage, bus, options, lines)
    return new Replica(
      runtime,
      await runtime.runPromise(Harness),
      await runtime.runPromise(ActorSystem),
      await runtime.runPromise(Waiters),
      await runtime.runPromise(CommandStore),
      await runtime.runPromise(Telemetry),
      lines
    )
  }

  run<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    return this.#runtime.runPromise(effect)
  }

  /** A node whose session is here. */
  async node(parentId: string | null = null) {
    const appId = randomUUID()
    const { session } = await this.run(this.harness.register({ appId, parentId }))
    return { appId, session }
  }

  /** A command, as REST would send it: a row, and a hint to whoever holds the node. Its correlation id. */
  async command(appId: string): Promise<string> {
    const correlationId = randomUUID()
    const sent = await this.run(
      this.#commands.send({
        appId,
        correlationId,
        action: "reload",
        payload: "null",
        issuedBy: "admin",
        idempotencyKey: null,
        traceparent: null,
        ttlMs: 60_000
      })
    )
    if (sent._tag !== "Queued") throw new Error(sent._tag)
    this.system.hint(appId, sent.owner, "commanded", sent.epoch)
    return correlationId
  }

  reading(appId: string, correlationId: string): Effect.Effect<CommandRow | null, StoreError> {
    return this.#commands.read(appId, correlationId)
  }

  sent = (kind: string): number => this.#telemetry.replicaMessagesSent.of(kind).count
  accepted = (kind: string): number => this.#telemetry.replicaMessagesAccepted.of(kind).count
  refused = (reason: string): number => this.#telemetry.replicaMessagesRefused.of(reason).count

  async gauge(name: string): Promise<number> {
    return Number(new RegExp(`^trails_${name} (\\d+)`, "m").exec(await this.run(this.#telemetry.render))?.[1])
  }

  /** Of all reasons but that nobody here waits for the log. */
  async refusals(): Promise<number> {
    const page = await this.run(this.#telemetry.render)
    return [...page.matchAll(/^trails_replica_messages_refused_total\{reason="(.*)"\} (\d+)$/gm)].reduce(
      (sum, [, reason, count]) => (reason === "unheeded" ? sum : sum + Number(count)),
      0
    )
  }

  stop(): Promise<void> {
    return this.#runtime.dispose()
  }
}

/** Two replicas of one deployment on one database: `here` is asked, `there` holds the sessions. */
export class TwoReplicas {
  readonly bus: LossyBus
  readonly here: Replica
  readonly there: Replica

  private constructor(bus: LossyBus, here: Replica, there: Replica) {
    this.bus = bus
    this.here = here
    this.there = there
  }

  static async start(storage: OpenStorage, options: ReplicaOptions, seed = 1): Promise<TwoReplicas> {
    const bus = new LossyBus(seed)
    const here = await Replica.start(storage, bus, options)
    return new TwoReplicas(bus, here, await Replica.start(storage, bus, options))
  }

  /** Commands these nodes there, from here, and waits until each session was told. */
  async commandAll(nodes: ReadonlyArray<{ readonly appId: string; readonly session: FakeSession }>) {
    const told = await Promise.all(
      nodes.map(async (node) => ({ ...node, correlationId: await this.here.command(node.appId) }))
    )
    await waitUntil("every session is told", () => told.every(({ session }) => controls(session).length > 0))
    return told
  }

  async stop(): Promise<void> {
    await this.here.stop()
    await this.there.stop()
  }
}
