import { BareCluster } from "../../test/cluster/BareCluster.ts"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { queryPostgres } from "../../test/harness/StoredState.ts"

const NATS_SERVERS = 3

/** What goes over NATS: nothing, hints between replicas, or tree events to JetStream as well. */
export type Over = "nothing" | "hints" | "events"

export interface Site {
  readonly cluster: BareCluster
  readonly databaseUrl: string
}

let sites = 0

/** Replicas with a database of their own in a Postgres that all sites share, and a mesh of nats-servers of their own. */
export const startSite = async (postgres: Postgres, replicas: number, over: Over): Promise<Site> => {
  const name = `site${++sites}`
  await queryPostgres(postgres.url, `CREATE DATABASE ${name}`)
  const databaseUrl = Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href
  const cluster = await BareCluster.start({
    databaseUrl,
    replicas,
    natsServers: over === "nothing" ? 0 : NATS_SERVERS,
    jetstream: over === "events"
  })
  return { cluster, databaseUrl }
}
