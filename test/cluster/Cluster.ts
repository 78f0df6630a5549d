import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Level } from "../../src/protocol/Frames.ts"
import { freePort } from "../harness/freePort.ts"
import { type Keypair, makeKeypair, secretPem } from "../harness/Keypair.ts"
import { NatsServer } from "../harness/NatsServer.ts"
import { Postgres } from "../harness/Postgres.ts"
import type { ServerAddress } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { Balancer } from "./Balancer.ts"
import { ClusterError } from "./ClusterError.ts"
import { type ClusterState, readClusterState } from "./ClusterState.ts"
import type { CutMode, Link } from "./Link.ts"
import { Member } from "./Member.ts"
import { type LinkName, Replica } from "./Replica.ts"

export interface ClusterOptions {
  /** Default 3. */
  readonly replicas?: number
  /** Default 3. */
  readonly natsServers?: number
  /** The nats-servers have JetStream, so that tree events are published. Default false. */
  readonly jetstream?: boolean
  /** Weakest level accepted. Default `open`. */
  readonly level?: Level
  /** Settings of every replica (PROTOCOL §13). */
  readonly env?: Readonly<Record<string, string>>
  /** Uniform in [0, 1): decides what lossy links lose. */
  readonly random?: () => number
  /** Folder of the clone whose trailsd the replicas run at first. Default: this one. */
  readonly build?: string
}

interface Parts {
  readonly folder: string
  readonly adminKeyFile: string
  readonly serverKey: Keypair
  readonly postgres: Postgres
  readonly nats: ReadonlyArray<NatsServer>
  readonly replicas: ReadonlyArray<Replica>
  readonly balancer: Balancer
}

/**
 * Replicas of trailsd on one Postgres with a mesh of nats-servers, as processes on loopback behind a balancer. Each process
 * can be killed, paused and restarted, each link of a replica cut, by name: `trailsd1`, `nats2`, `postgres`. All of it ends
 * with the process that made it, in whatever way that ends.
 */
export class Cluster implements ServerAddress, AsyncDisposable {
  readonly adminKeyFile: string
  readonly serverKey: Keypair
  readonly postgres: Postgres
  readonly nats: ReadonlyArray<NatsServer>
  readonly replicas: ReadonlyArray<Replica>
  readonly balancer: Balancer
  /** All processes, in the order in which they are shown. */
  readonly members: ReadonlyArray<Member>
  readonly #folder: string

  private constructor(parts: Parts) {
    this.#folder = parts.folder
    this.adminKeyFile = parts.adminKeyFile
    this.serverKey = parts.serverKey
    this.postgres = parts.postgres
    this.nats = parts.nats
    this.replicas = parts.replicas
    this.balancer = parts.balancer
    this.members = [
      ...parts.replicas,
      ...parts.nats.map((server, index) => new Member(`nats${index + 1}`, server)),
      new Member("postgres", parts.postgres)
    ]
  }

  /** Resolves when the balancer gives connections to every replica. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.#make(options)
    try {
      await Promise.all(cluster.replicas.map((replica) => replica.restart()))
      await waitUntil("the balancer finds every replica", () =>
        cluster.replicas.every(({ name }) => cluster.balancer.ready.includes(name))
      )
      return cluster
    } catch (error) {
      await cluster.dispose()
      throw error
    }
  }

  /** Postgres and the mesh run, the replicas do not yet. */
  static async #make(options: ClusterOptions): Promise<Cluster> {
    const undo: Array<() => unknown> = []
    try {
      const folder = mkdtempSync(join(tmpdir(), "trails-cluster-"))
      undo.push(() => rmSync(folder, { recursive: true, force: true }))
      const adminKeyFile = join(folder, "admin.key.pem")
      writeFileSync(adminKeyFile, secretPem(makeKeypair()), { mode: 0o600 })
      const postgres = await Postgres.create()
      undo.push(() => postgres.dispose())
      // Clients are not told of the other servers: they would find ways past their links.
      const nats = await NatsServer.mesh(options.natsServers ?? 3, {
        config: "cluster { no_advertise: true }",
        jetstream: options.jetstream ?? false
      })
      undo.push(() => Promise.all(nats.map((server) => server.dispose())))
      const serverKey = makeKeypair()
      const port = await freePort()
      const env = {
        TRAILS_ADMIN_KEY_FILE: adminKeyFile,
        TRAILS_MIN_LEVEL: options.level ?? "open",
        TRAILS_PUBLIC_URL: `http://127.0.0.1:${port}`,
        ...options.env
      }
      const build = options.build === undefined ? {} : { build: options.build }
      const replicas: Array<Replica> = []
      for (let number = 1; number <= (options.replicas ?? 3); number++) {
        const name = `trailsd${number}`
        const random = options.random ?? Math.random
        const replica = await Replica.make({ name, postgres, nats, random, options: { serverKey, env, ...build } })
        undo.push(() => replica.dispose())
        replicas.push(replica)
      }
      const balancer = await Balancer.inFrontOf(
        port,
        replicas.map(({ entrance, name }) => ({ name, port: entrance }))
      )
      return new Cluster({ folder, adminKeyFile, serverKey, postgres, nats, replicas, balancer })
    } catch (error) {
      for (const step of undo.toReversed()) await step()
      throw error
    }
  }

  /** By the balancer, as all below: a new connection leads to any replica that is ready. */
  get url(): string {
    return `ws://127.0.0.1:${this.balancer.port}/ws`
  }

  get http(): string {
    return `http://127.0.0.1:${this.balancer.port}`
  }

  /** The replica of that name, which is asked past the balancer. */
  replica(name: string): Replica {
    const found = this.replicas.find((replica) => replica.name === name)
    if (found === undefined) throw unknown("replica", name, this.replicas)
    return found
  }

  member(name: string): Member {
    const found = this.members.find((member) => member.name === name)
    if (found === undefined) throw unknown("process", name, this.members)
    return found
  }

  /** `kill -9`. */
  kill(name: string): Promise<void> {
    return this.member(name).kill()
  }

  /** SIGSTOP, for so many milliseconds or until `resume`. */
  pause(name: string, milliseconds?: number): void {
    this.member(name).pause(milliseconds)
  }

  /** Without a name: all that are paused. */
  resume(name?: string): void {
    if (name !== undefined) return this.member(name).resume()
    for (const member of this.members) if (member.state === "paused") member.resume()
  }

  /** Stops it in order if it runs, and starts it. Resolves when it serves. */
  restart(name: string): Promise<void> {
    return this.member(name).restart()
  }

  cut(name: string, link: LinkName, mode: CutMode = "silent"): void {
    for (const one of this.#links(name, link)) one.cut(mode)
  }

  /** Everything on this link takes so much longer, either way. */
  delay(name: string, link: LinkName, milliseconds: number): void {
    for (const one of this.#links(name, link)) one.delay(milliseconds)
  }

  /** Of all pieces so many get lost, between 0 and 1, and come again. */
  lose(name: string, link: LinkName, rate: number): void {
    for (const one of this.#links(name, link)) one.lose(rate)
  }

  /** Without a name: all links of all replicas. */
  heal(name?: string): void {
    for (const replica of name === undefined ? this.replicas : [this.replica(name)]) replica.heal()
  }

  /** Asks all of them, past their links. */
  state(): Promise<ClusterState> {
    return readClusterState(this)
  }

  /** In order: the replicas drain, then the others end. A replica that will not stop is an error, once all is gone. */
  async stop(): Promise<void> {
    this.heal()
    this.resume()
    try {
      await Promise.all(this.replicas.map((replica) => replica.stop()))
    } finally {
      await this.dispose()
    }
  }

  /** Ends everything at once. */
  async dispose(): Promise<void> {
    await this.balancer.close()
    await Promise.all(this.replicas.map((replica) => replica.dispose()))
    await Promise.all([this.postgres.dispose(), ...this.nats.map((server) => server.dispose())])
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose()
  }

  #links(name: string, link: LinkName): ReadonlyArray<Link> {
    return this.replica(name).links(link)
  }
}

const unknown = (kind: string, name: string, known: ReadonlyArray<Member>): ClusterError =>
  new ClusterError(`there is no ${kind} "${name}"; there are ${known.map((member) => member.name).join(", ")}`)
