import { BareCluster } from "../../test/cluster/BareCluster.ts"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { queryPostgres } from "../../test/harness/StoredState.ts"

const NATS_SERVERS = 3

export interface Site {
  readonly cluster: BareCluster
  readonly databaseUrl: string
}

let sites = 0

/** Replicas with a database of their own in a Postgres that all sites share, and a mesh of their own when they have NATS. */
export const startSite = async (postgres: Postgres, replicas: number, hasNats: boolean): Promise<Site> => {
  const name = `site${++sites}`
  await queryPostgres(postgres.url, `CREATE DATABASE ${name}`)
  const databaseUrl = Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href
  const cluster = await BareCluster.start({ databaseUrl, replicas, natsServers: hasNats ? NATS_SERVERS : 0 })
  return { cluster, databaseUrl }
}
