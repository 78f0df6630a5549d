import { setTimeout as pause } from "node:timers/promises"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { attach, rootOf } from "../../test/harness/TestNode.ts"
import { Caller } from "../control/Caller.ts"
import type { Latency } from "./Latency.ts"
import { startSite } from "./startSite.ts"
import { bothWays, type Ways } from "./Ways.ts"

/** Until whoever asks is surely among those who wait. */
const SETTLE_MS = 30

export interface WaiterOptions {
  readonly hasNats: boolean
  readonly replicas: number
  readonly rounds: number
  /** One after the other, each way and round. */
  readonly waits: number
}

/**
 * From the ack of a Status, which the server sends when it has committed it, to the answer of a `GET log` that waits for
 * it. Ack and answer arrive in one process; where the answer is first, the time is negative.
 */
export const waiters = async (postgres: Postgres, options: WaiterOptions): Promise<Ways<Latency>> => {
  const { cluster } = await startSite(postgres, options.replicas, options.hasNats)
  using caller = new Caller()
  try {
    const [holder, other] = cluster.replicas
    const node = rootOf(holder!, { startDeadline: 0 })
    const wire = await attach(holder!, node)
    let ackedAt = 0
    let onAck = (): void => {}
    node.onFrame = ({ type }) => {
      if (type !== "ack") return
      ackedAt = performance.now()
      onAck()
    }
    /** Reports, and waits for the ack. */
    const report = async (): Promise<void> => {
      const acked = new Promise<void>((resolve) => (onAck = resolve))
      node.status({ at: node.seq })
      await acked
    }
    const log = async (http: string, query: string) =>
      (await caller.get(http, `apps/${node.appId}/log?${query}`)) as { readonly next: number | null }
    await report()
    let newest = (await log(holder!.http, "after=0")).next ?? 0
    const one = async (http: string): Promise<number> => {
      const told = log(http, `after=${newest}&timeout=30`).then(({ next }) => ({ next, at: performance.now() }))
      await pause(SETTLE_MS)
      await report()
      const { at, next } = await told
      if (next !== newest + 1) throw new Error(`row ${newest + 1} was waited for, and ${next} came`)
      newest = next
      return at - ackedAt
    }
    const asked = { same: holder!.http, across: other!.http }
    const latency = await bothWays(options.rounds, async (way) => {
      const taken: Array<number> = []
      for (let i = 0; i < options.waits; i++) taken.push(await one(asked[way]))
      return taken
    })
    wire.terminate()
    return latency
  } finally {
    await cluster.dispose()
  }
}
