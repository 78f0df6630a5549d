import type { Postgres } from "../../test/harness/Postgres.ts"
import { Caller } from "../control/Caller.ts"
import { EchoNodes } from "../control/EchoNodes.ts"
import type { Latency } from "./Latency.ts"
import { type Over, startSite } from "./startSite.ts"
import { bothWays, type Ways } from "./Ways.ts"

const NODES = 50
const WARM_UP = 20

export interface CommandOptions {
  readonly over: Over
  readonly replicas: number
  readonly rounds: number
  /** One after the other, each way and round. */
  readonly commands: number
}

/** From the request to the answer with the node's result in it; all nodes are at one replica. */
export const commands = async (postgres: Postgres, options: CommandOptions): Promise<Ways<Latency>> => {
  const { cluster } = await startSite(postgres, options.replicas, options.over)
  using nodes = new EchoNodes()
  using caller = new Caller()
  try {
    const [holder, other] = cluster.replicas
    const { ids } = await nodes.ask({ do: "start", url: holder!.url, nodes: NODES })
    const asked = { same: holder!.http, across: other!.http }
    let value = 0
    const some = async (way: keyof typeof asked, count: number) => {
      const taken: Array<number> = []
      for (let i = 0; i < count; i++) taken.push(await caller.command(asked[way], ids[value % ids.length]!, value++))
      return taken
    }
    for (const way of ["same", "across"] as const) await some(way, Math.min(WARM_UP, options.commands))
    return await bothWays(options.rounds, (way) => some(way, options.commands))
  } finally {
    await cluster.dispose()
  }
}
