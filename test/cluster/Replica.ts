import { SOUND } from "../harness/LossyBus.ts"
import type { NatsServer } from "../harness/NatsServer.ts"
import type { Postgres } from "../harness/Postgres.ts"
import { type ServerAddress, Trailsd, type TrailsdOptions } from "../harness/Trailsd.ts"
import { Link } from "./Link.ts"
import { Member } from "./Member.ts"
import { NatsFaults } from "./NatsFaults.ts"

/** What a replica can be cut off from. `nats` is its ways to all nats-servers together. */
export const linkNames = ["clients", "postgres", "nats"] as const
export type LinkName = (typeof linkNames)[number]

/** Time that a replica may take to get ready, milliseconds: less than somebody at a prompt would wait in vain. */
const READY_WITHIN_MS = 30_000

export interface ReplicaPlan {
  readonly name: string
  readonly postgres: Postgres
  readonly nats: ReadonlyArray<NatsServer>
  readonly random: () => number
  readonly options: TrailsdOptions
}

const through = (link: Link, url: string): string => {
  const changed = new URL(url)
  changed.port = String(link.port)
  return changed.href
}

/** A trailsd with a link of its own to everything that it talks with. */
export class Replica extends Member implements ServerAddress {
  readonly trailsd: Trailsd
  /** Of single messages on its way to NATS, while the way itself is whole. */
  readonly messages: NatsFaults
  readonly #links: Readonly<Record<LinkName, ReadonlyArray<Link>>>

  private constructor(
    name: string,
    trailsd: Trailsd,
    messages: NatsFaults,
    links: Readonly<Record<LinkName, ReadonlyArray<Link>>>
  ) {
    super(name, trailsd)
    this.trailsd = trailsd
    this.messages = messages
    this.#links = links
  }

  /** Its links are there; the process is not started. `env` gets what belongs to this replica alone. */
  static async make({ name, nats, options, postgres, random }: ReplicaPlan): Promise<Replica> {
    const database = await Link.to(postgres.port, random)
    const messages = new NatsFaults(random)
    const ways = await Promise.all(nats.map((server) => Link.to(server.port, random, messages.passage)))
    const trailsd = await Trailsd.reserve({
      ...options,
      databaseUrl: through(database, postgres.url),
      readyWithinMs: READY_WITHIN_MS,
      env: {
        SERVER_INSTANCE: name,
        NATS_URL: nats.map(({ url }, index) => through(ways[index]!, url)).join(","),
        // What Debian has is older than what production needs, and does for tests.
        NATS_ANY_VERSION: "true",
        // The balancer looks every 200 ms.
        DRAIN_DELAY: "600ms",
        ...options.env
      }
    })
    const clients = await Link.to(trailsd.port, random)
    return new Replica(name, trailsd, messages, { clients: [clients], postgres: [database], nats: ways })
  }

  /** Of the link that its clients come by. */
  get entrance(): number {
    return this.#links.clients[0]!.port
  }

  get url(): string {
    return `ws://127.0.0.1:${this.entrance}/ws`
  }

  get http(): string {
    return `http://127.0.0.1:${this.entrance}`
  }

  get serverKey(): Trailsd["serverKey"] {
    return this.trailsd.serverKey
  }

  links(name: LinkName): ReadonlyArray<Link> {
    return this.#links[name]
  }

  heal(): void {
    this.messages.faults = SOUND
    for (const name of linkNames) for (const link of this.#links[name]) link.heal()
  }

  async dispose(): Promise<void> {
    if (this.state === "paused") this.resume()
    await this.trailsd.dispose()
    await Promise.all(linkNames.flatMap((name) => this.#links[name].map((link) => link.close())))
  }
}
