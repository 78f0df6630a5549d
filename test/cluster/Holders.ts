import { queryPostgres } from "../harness/StoredState.ts"
import type { Cluster } from "./Cluster.ts"
import type { Replica } from "./Replica.ts"

/** Which replica holds which attached node, by `node_status.owner`. */
export class Holders {
  readonly #replicas: ReadonlyArray<Replica>
  readonly byNode: ReadonlyMap<string, Replica>

  private constructor(replicas: ReadonlyArray<Replica>, byNode: ReadonlyMap<string, Replica>) {
    this.#replicas = replicas
    this.byNode = byNode
  }

  static async read(cluster: Cluster): Promise<Holders> {
    const { replicas } = await cluster.state()
    const byBoot = new Map(replicas.map(({ name, standing }) => [standing?.boot, cluster.replica(name)]))
    const rows = await queryPostgres(
      cluster.postgres.url,
      "select app_id, owner from node_status where status in ('connected', 'running')"
    )
    const byNode = rows.flatMap((row) => {
      const replica = byBoot.get(String(row["owner"]))
      return replica === undefined ? [] : [[String(row["app_id"]), replica] as const]
    })
    return new Holders(cluster.replicas, new Map(byNode))
  }

  of({ appId }: { readonly appId: string }): Replica {
    const holder = this.byNode.get(appId)
    if (holder === undefined) throw new Error(`nobody holds ${appId}`)
    return holder
  }

  /** The replicas that hold none of these nodes, beginning behind the holder of the first. */
  elsewhere(...nodes: ReadonlyArray<{ readonly appId: string }>): ReadonlyArray<Replica> {
    const holders = nodes.map((node) => this.of(node))
    const from = holders[0] === undefined ? 0 : this.#replicas.indexOf(holders[0])
    const turned = [...this.#replicas.slice(from), ...this.#replicas.slice(0, from)]
    return turned.filter((replica) => !holders.includes(replica))
  }
}
