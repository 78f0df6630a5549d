import type { Random } from "../harness/Random.ts"
import type { Cluster } from "./Cluster.ts"
import { cutModes } from "./Link.ts"
import { linkNames, type LinkName } from "./Replica.ts"

/** What a fault may use. */
export interface FaultGround {
  readonly cluster: Cluster
  readonly random: Random
  /** Replicas that a fault is felt at: they hold nodes. */
  readonly holders: ReadonlyArray<string>
  /** REPLICA_LEASE, milliseconds. */
  readonly leaseMs: number
  /** From the last word of a child to its `crashed`, milliseconds. */
  readonly verdictMs: number
}

/** One fault that has begun. */
export interface Fault {
  /** For people: what, where, how long. */
  readonly what: string
  /** The replica whose children are to run at the others at once; null: none. */
  readonly killed: string | null
  readonly holdMs: number
  /** After that time. */
  readonly heal: () => Promise<void> | void
}

type Inflict = (ground: FaultGround) => Promise<Fault>

const replicaOf = ({ holders, random }: FaultGround): string => random.pick(holders)

const kill =
  (victim: (ground: FaultGround) => string, isReplica = false): Inflict =>
  async (ground) => {
    const { cluster, leaseMs, random } = ground
    const name = victim(ground)
    const holdMs = random.int(leaseMs)
    await cluster.kill(name)
    return {
      what: `kill -9 of ${name}, back after ${holdMs} ms`,
      killed: isReplica ? name : null,
      holdMs,
      heal: () => cluster.restart(name)
    }
  }

const pause =
  (leases: number): Inflict =>
  async (ground) => {
    const { cluster, leaseMs } = ground
    const name = replicaOf(ground)
    cluster.pause(name)
    return {
      what: `SIGSTOP of ${name} for ${leases * leaseMs} ms`,
      killed: null,
      holdMs: leases * leaseMs,
      heal: () => cluster.resume(name)
    }
  }

/** Something is wrong with one link of one replica: `begin` says what, and for how long at most. Default: one and a half leases. */
const onLink =
  (begin: (ground: FaultGround, name: string) => { readonly what: string; readonly mostMs?: number }): Inflict =>
  async (ground) => {
    const { cluster, leaseMs, random } = ground
    const name = replicaOf(ground)
    const { mostMs = 1.5 * leaseMs, what } = begin(ground, name)
    const holdMs = Math.round(random.between(0.3 * leaseMs, mostMs))
    return {
      what: `${name} ${what} for ${holdMs} ms`,
      killed: null,
      holdMs,
      heal: () => cluster.heal(name)
    }
  }

const cut = (link: LinkName): Inflict =>
  onLink(({ cluster, random, verdictMs }, name) => {
    const mode = random.pick(cutModes)
    cluster.cut(name, link, mode)
    const what = `cut from ${link} (${mode})`
    // Children that have not left by then are called crashed.
    return link === "clients" && mode === "silent" ? { what, mostMs: 1.2 * verdictMs } : { what }
  })

const slow = onLink(({ cluster, random }, name) => {
  const link = random.pick(linkNames)
  const late = 20 + random.int(200)
  cluster.delay(name, link, late)
  return { what: `${late} ms from ${link}` }
})

const lossy = onLink(({ cluster, random }, name) => {
  const link = random.pick(linkNames)
  const rate = random.between(0.02, 0.3)
  cluster.lose(name, link, rate)
  return { what: `losing ${(rate * 100).toFixed(0)} % to and from ${link}` }
})

/** Issue 6, §5. The numbers of leases are those of a pause of an owner. */
export const faultKinds = {
  "kill-replica": kill(replicaOf, true),
  "kill-nats": kill(({ cluster, random }) => `nats${1 + random.int(cluster.nats.length)}`),
  "kill-postgres": kill(() => "postgres"),
  "pause-1x": pause(1),
  "pause-2x": pause(2),
  "pause-10x": pause(10),
  "cut-postgres": cut("postgres"),
  "cut-nats": cut("nats"),
  "cut-clients": cut("clients"),
  delay: slow,
  loss: lossy
} as const satisfies Readonly<Record<string, Inflict>>

export type FaultKind = keyof typeof faultKinds

export const allFaultKinds = Object.keys(faultKinds) as ReadonlyArray<FaultKind>
