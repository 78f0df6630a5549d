import type { Cluster } from "./Cluster.ts"
import type { ClusterState, ProcessView, ReplicaView, Standing } from "./ClusterState.ts"

/** Columns as wide as their widest cell. */
const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths: Array<number> = []
  for (const row of rows) for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

const processOf = ({ name, pid, port, process }: ProcessView): ReadonlyArray<string> => [
  name,
  process,
  `port ${port}`,
  pid === null ? "no pid" : `pid ${pid}`
]

const leaseOf = ({ leaseLeftMs }: Standing): string => {
  if (leaseLeftMs === null) return "no lease"
  return leaseLeftMs < 0 ? "lease over" : `lease ${(leaseLeftMs / 1000).toFixed(1)} s`
}

/** What it says of itself, and what the balancer made of it when it last looked. */
const readinessOf = ({ balanced, ready }: ReplicaView): string => {
  if (ready) return balanced ? "ready" : "ready, not reached"
  return balanced ? "not ready, still reached" : "not ready"
}

const replicaLine = (replica: ReplicaView): ReadonlyArray<string> => {
  const { cuts, onNats, standing } = replica
  return [
    ...processOf(replica),
    readinessOf(replica),
    onNats === null ? "" : onNats ? "on NATS" : "without NATS",
    ...(standing === null
      ? ["lease ?", "sessions ?", ""]
      : [
          leaseOf(standing),
          `${standing.sessions} sessions`,
          standing.duties.length === 0 ? "" : `duties ${standing.duties.join(", ")}`
        ]),
    Object.entries(cuts)
      .map(([link, mode]) => `CUT from ${link} (${mode})`)
      .join(", ")
  ]
}

/** One line per process. */
export const stateText = ({ nats, postgres, replicas }: ClusterState): string =>
  columns([
    ...replicas.map(replicaLine),
    ...nats.map((server) => [...processOf(server), server.routes === null ? "no answer" : `${server.routes} routes`]),
    [...processOf(postgres), postgres.answers ? "answers" : "no answer"]
  ])

/** What somebody needs to use it, and what runs. */
export const firstScreen = (cluster: Cluster, state: ClusterState): string =>
  `${stateText(state)}

balancer   ${cluster.http}
admin key  ${cluster.adminKeyFile}

The command line finds it by

  export TRAILS_SERVER=${cluster.url} TRAILS_ADMIN_KEY_FILE=${cluster.adminKeyFile}

and a subscriber to tree events (docs/events.md) by

  export NATS_URL=${cluster.nats.map(({ url }) => url).join(",")}
`
