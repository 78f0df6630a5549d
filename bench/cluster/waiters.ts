import { setTimeout as pause } from "node:timers/promises"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { Caller } from "../control/Caller.ts"
import type { Latency } from "./Latency.ts"
import { Reporter } from "./Reporter.ts"
import { type Over, startSite } from "./startSite.ts"
import { bothWays, type Ways } from "./Ways.ts"

/** Until whoever asks is surely among those who wait. */
const SETTLE_MS = 30

export interface WaiterOptions {
  readonly over: Over
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
  const { cluster } = await startSite(postgres, options.replicas, options.over)
  using caller = new Caller()
  try {
    const [holder, other] = cluster.replicas
    using reporter = await Reporter.at(holder!)
    const log = async (http: string, query: string) =>
      (await caller.get(http, `apps/${reporter.appId}/log?${query}`)) as { readonly next: number | null }
    let number = 0
    await reporter.report(number++)
    let newest = (await log(holder!.http, "after=0")).next ?? 0
    const one = async (http: string): Promise<number> => {
      const told = log(http, `after=${newest}&timeout=30`).then(({ next }) => ({ next, at: performance.now() }))
      await pause(SETTLE_MS)
      const ackedAt = await reporter.report(number++)
      const { at, next } = await told
      if (next !== newest + 1) throw new Error(`row ${newest + 1} was waited for, and ${next} came`)
      newest = next
      return at - ackedAt
    }
    const asked = { same: holder!.http, across: other!.http }
    return await bothWays(options.rounds, async (way) => {
      const taken: Array<number> = []
      for (let i = 0; i < options.waits; i++) taken.push(await one(asked[way]))
      return taken
    })
  } finally {
    await cluster.dispose()
  }
}
