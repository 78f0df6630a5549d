import type { Level } from "../../src/protocol/Frames.ts"
import { BareCluster } from "../cluster/BareCluster.ts"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import { countVerdicts, type StormOptions } from "./ReconnectStorm.ts"
import { type Stall, stallText, StallWatch } from "./StallWatch.ts"
import { failuresBetween, StormCrowd } from "./StormCrowd.ts"

const NATS_SERVERS = 3
/** How long the others may take to find the killed one dead: its lease, one of theirs without a pause, and some. */
const REAPED_WITHIN_MS = 60_000

export interface ClusterStormOptions extends StormOptions {
  readonly replicas: number
}

export interface ClusterStormReport {
  readonly nodes: number
  readonly level: Level
  readonly replicas: number
  /** Nodes that the killed replica held. */
  readonly lost: number
  /** From the kill until every node was attached. */
  readonly attachedMs: number
  /** Of each survivor, from the kill until all were attached. */
  readonly stalls: ReadonlyArray<Stall>
  /** Survivors that gave up their lease, or had it taken. */
  readonly leasesLost: number
  /** Nodes with a verdict in their log, after the killed replica was found dead. */
  readonly verdicts: number
  /** Nodes that have no session at a survivor at the end, by the database. */
  readonly astray: number
  readonly failures: Readonly<Record<string, number>>
}

/** Issue 6, §5.5. */
export interface ClusterStormLimits {
  readonly attachedMs: number
  readonly stallMs: number
}
const LIMITS: ClusterStormLimits = { attachedMs: 60_000, stallMs: 500 }

const BOOTS = "select boot, reaped_at is not null as reaped from replicas where instance = $1"
const HELD = "select count(*)::int as n from node_status where owner = $1 and status in ('connected', 'running')"
const ASTRAY =
  "select count(*)::int as n from node_status where status not in ('connected', 'running') or owner <> all($1)"

/**
 * Thousands of nodes on several replicas, one of which is killed with -9: its nodes come back at the others, which hold
 * theirs meanwhile. There is no balancer: each connect goes to the next address, that of the dead one among them, which
 * refuses. What a balancer would add would be its own.
 */
export const clusterStorm = async (options: ClusterStormOptions): Promise<ClusterStormReport> => {
  const { databaseUrl, level, log } = options
  await using cluster = await BareCluster.start({
    databaseUrl,
    replicas: options.replicas,
    natsServers: NATS_SERVERS,
    nodeFlags: StallWatch.flags
  })
  using crowd = new StormCrowd(options)
  const [victim, ...survivors] = cluster.replicas
  const count = async (sql: string, param: unknown) => Number((await queryPostgres(databaseUrl, sql, [param]))[0]?.n)
  const bootOf = async (number: number) => (await queryPostgres(databaseUrl, BOOTS, [`trailsd${number}`]))[0]!
  try {
    await crowd.start(cluster.urls, cluster.serverKey)
    await crowd.speak()
    const boots = await Promise.all(cluster.replicas.map(async (_, index) => String((await bootOf(index + 1))["boot"])))
    const held = await Promise.all(boots.map((boot) => count(HELD, boot)))
    log(`${crowd.size} nodes attached: ${held.join(", ")}`)

    const before = await crowd.tell({ do: "count" })
    const watches = await Promise.all(survivors.map((survivor) => StallWatch.begin(survivor)))
    const from = performance.now()
    await victim!.kill()
    const after = await crowd.allBack(before.reconnects + held[0]!)
    const attachedMs = Math.round(performance.now() - from)
    const stalls = await Promise.all(watches.map((watch) => watch.end()))
    log(`all attached after ${attachedMs} ms; stalls ${stalls.map(stallText).join(", ")}`)

    await waitUntil("the killed one is found dead", async () => (await bootOf(1))["reaped"], {
      withinMs: REAPED_WITHIN_MS,
      everyMs: 250
    })
    await crowd.speak()
    const keeps = await Promise.all(
      survivors.map(async (survivor, index) => {
        if (!survivor.isRunning || (await bootOf(index + 2))["reaped"] === true) return false
        return metric(await readMetrics(survivor.http), "trails_lease_held") === 1
      })
    )
    return {
      nodes: crowd.size,
      level,
      replicas: options.replicas,
      lost: held[0]!,
      attachedMs,
      stalls,
      leasesLost: keeps.filter((kept) => !kept).length,
      verdicts: await countVerdicts(databaseUrl),
      astray: await count(ASTRAY, boots.slice(1)),
      failures: failuresBetween(before, after)
    }
  } catch (cause) {
    const said = cluster.replicas
      .map(({ output }) => output.replaceAll(/^loop stood still .*\n/gm, "").slice(-2000))
      .join("\n\n")
    throw new Error(`the storm broke off; the replicas said:\n${said}`, { cause })
  }
}

export const clusterStormLine = (report: ClusterStormReport): string =>
  `reconnect storm: ${report.nodes} nodes (${report.level}) on ${report.replicas} replicas, one with ${report.lost} killed: ` +
  `all attached after ${report.attachedMs} ms, longest stalls of the others ${report.stalls.map(stallText).join(", ")}; ` +
  `leases lost ${report.leasesLost}, verdicts ${report.verdicts}, astray ${report.astray}`

export const clusterStormFailures = (
  report: ClusterStormReport,
  limits: ClusterStormLimits = LIMITS
): ReadonlyArray<string> => [
  ...(report.attachedMs > limits.attachedMs ? [`it took ${report.attachedMs} ms until all were back`] : []),
  ...report.stalls
    .filter(({ longestStallMs }) => longestStallMs > limits.stallMs)
    .map((stall) => `the event loop of a survivor stood still for ${stallText(stall)}`),
  ...(report.leasesLost > 0 ? [`${report.leasesLost} survivors lost their lease`] : []),
  ...(report.verdicts > 0 ? [`${report.verdicts} nodes were declared dead`] : []),
  ...(report.astray > 0 ? [`${report.astray} nodes have no session at a survivor`] : [])
]
