import { metric, readMetrics } from "../harness/Metrics.ts"
import type { NatsServer } from "../harness/NatsServer.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import type { CutMode } from "./Link.ts"
import type { Member, ProcessState } from "./Member.ts"
import { type LinkName, linkNames, type Replica } from "./Replica.ts"

export interface ProcessView {
  readonly name: string
  readonly port: number
  readonly pid: number | null
  readonly process: ProcessState
}

/** What the database says of the latest boot of a replica. */
export interface Standing {
  readonly boot: string
  /** Milliseconds until it runs out; below 0: it has. Null: it was reaped or released. */
  readonly leaseLeftMs: number | null
  /** Length of the lease, as of its last renewal. */
  readonly leaseMs: number
  /** Nodes that are attached to it. */
  readonly sessions: number
  readonly duties: ReadonlyArray<string>
}

export interface ReplicaView extends ProcessView {
  /** Asked past its links. */
  readonly ready: boolean
  /** It has a connection to a nats-server; null when it does not answer. */
  readonly onNats: boolean | null
  /** The balancer gives it connections. */
  readonly balanced: boolean
  /** Null: the database does not answer, or has never heard of it. */
  readonly standing: Standing | null
  readonly cuts: Readonly<Partial<Record<LinkName, CutMode>>>
}

export interface NatsView extends ProcessView {
  /** Servers that it has routes to; null when it does not answer. */
  readonly routes: number | null
}

export interface ClusterState {
  readonly replicas: ReadonlyArray<ReplicaView>
  readonly nats: ReadonlyArray<NatsView>
  readonly postgres: ProcessView & { readonly answers: boolean }
}

const STANDINGS = `
select distinct on (r.instance) r.instance, r.boot,
  case when r.reaped_at is null then extract(epoch from r.expires_at - now()) * 1000 end as "leftMs",
  extract(epoch from r.expires_at - r.renewed_at) * 1000 as "leaseMs",
  (select count(*) from node_status s where s.owner = r.boot and s.status in ('connected', 'running')) as sessions,
  array(select duty from leases l where l.holder = r.boot and l.expires_at > now() order by duty) as duties
from replicas r
order by r.instance, r.started_at desc`

/** By the replica's name; null when the database does not answer. */
const readStandings = async (url: string): Promise<ReadonlyMap<string, Standing> | null> => {
  try {
    const rows = await queryPostgres(url, STANDINGS)
    return new Map(
      rows.map((row) => [
        String(row["instance"]),
        {
          boot: String(row["boot"]),
          leaseLeftMs: row["leftMs"] === null ? null : Math.round(Number(row["leftMs"])),
          leaseMs: Math.round(Number(row["leaseMs"])),
          sessions: Number(row["sessions"]),
          duties: row["duties"] as ReadonlyArray<string>
        }
      ])
    )
  } catch {
    return null
  }
}

const isOnNats = async ({ trailsd }: Replica): Promise<boolean | null> => {
  try {
    return metric(await readMetrics(trailsd.http), "trails_nats_connected") === 1
  } catch {
    return null
  }
}

const cutsOf = (replica: Replica): ReplicaView["cuts"] =>
  Object.fromEntries(
    linkNames.flatMap((name) => {
      const mode = replica.links(name).find(({ isCut }) => isCut !== null)?.isCut
      return mode == null ? [] : [[name, mode]]
    })
  )

/** What of a cluster is asked. */
interface Asked {
  readonly replicas: ReadonlyArray<Replica>
  readonly nats: ReadonlyArray<NatsServer>
  readonly postgres: { readonly url: string }
  readonly balancer: { readonly ready: ReadonlyArray<string> }
  readonly member: (name: string) => Member
}

/** Everybody is asked past the links, and nobody who is paused or down. */
export const readClusterState = async (cluster: Asked): Promise<ClusterState> => {
  const view = (name: string): ProcessView => {
    const { pid, port, state } = cluster.member(name)
    return { name, port, pid, process: state }
  }
  const postgres = view("postgres")
  const [standings, replicas, nats] = await Promise.all([
    postgres.process === "up" ? readStandings(cluster.postgres.url) : null,
    Promise.all(
      cluster.replicas.map(async (replica) => ({
        ...view(replica.name),
        ready: replica.state === "up" && (await replica.trailsd.readyz()) === 200,
        onNats: replica.state === "up" ? await isOnNats(replica) : null,
        balanced: cluster.balancer.ready.includes(replica.name),
        cuts: cutsOf(replica)
      }))
    ),
    Promise.all(
      cluster.nats.map(async (server, index) => {
        const seen = view(`nats${index + 1}`)
        return { ...seen, routes: seen.process === "up" ? await server.peers().catch(() => null) : null }
      })
    )
  ])
  return {
    replicas: replicas.map((replica) => ({ ...replica, standing: standings?.get(replica.name) ?? null })),
    nats,
    postgres: { ...postgres, answers: standings !== null }
  }
}
