import { type Keypair, makeKeypair } from "../harness/Keypair.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { Trailsd } from "../harness/Trailsd.ts"

export interface BareClusterOptions {
  readonly databaseUrl: string
  readonly replicas: number
  /** 0: the replicas have no NATS. */
  readonly natsServers: number
  /** The nats-servers have JetStream, so that tree events are published. Default false. */
  readonly jetstream?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** For Node, of each replica. */
  readonly nodeFlags?: ReadonlyArray<string>
}

/**
 * Replicas and a mesh of nats-servers as `Cluster` has them, with nothing in between: links and a balancer would be measured
 * too, and with thousands of connections they alone. Clients are given the address of each replica.
 */
export class BareCluster implements AsyncDisposable {
  readonly serverKey: Keypair
  readonly replicas: ReadonlyArray<Trailsd>
  readonly nats: ReadonlyArray<NatsServer>

  private constructor(serverKey: Keypair, replicas: ReadonlyArray<Trailsd>, nats: ReadonlyArray<NatsServer>) {
    this.serverKey = serverKey
    this.replicas = replicas
    this.nats = nats
  }

  /** Resolves when every replica is ready. */
  static async start(options: BareClusterOptions): Promise<BareCluster> {
    const serverKey = makeKeypair()
    const nats =
      options.natsServers === 0
        ? []
        : await NatsServer.mesh(options.natsServers, { jetstream: options.jetstream ?? false })
    const replicas: Array<Trailsd> = []
    for (let number = 1; number <= options.replicas; number++) {
      const shared =
        nats.length === 0 ? {} : { NATS_URL: nats.map(({ url }) => url).join(","), NATS_ANY_VERSION: "true" }
      replicas.push(
        await Trailsd.reserve({
          serverKey,
          databaseUrl: options.databaseUrl,
          nodeFlags: options.nodeFlags ?? [],
          env: { SERVER_INSTANCE: `trailsd${number}`, TRAILS_MIN_LEVEL: "open", ...shared, ...options.env }
        })
      )
    }
    const cluster = new BareCluster(serverKey, replicas, nats)
    try {
      await Promise.all(replicas.map((replica) => replica.start()))
      return cluster
    } catch (error) {
      await cluster.dispose()
      throw error
    }
  }

  get urls(): ReadonlyArray<string> {
    return this.replicas.map(({ url }) => url)
  }

  /** Ends everything at once. */
  async dispose(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.dispose()))
    await Promise.all(this.nats.map((server) => server.dispose()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }
}
