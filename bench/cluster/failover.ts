import pg from "pg"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { waitUntil } from "../../test/harness/waitUntil.ts"
import { StormCrowd } from "../../test/system/StormCrowd.ts"
import { type Spread, spreadOf } from "../spread.ts"
import { startSite } from "./startSite.ts"

const LOOK_MS = 10
const WITHIN_MS = 60_000

export interface FailoverOptions {
  readonly replicas: number
  readonly rounds: number
  readonly nodes: number
  readonly log: (line: string) => void
}

export interface Failover {
  /** Nodes that the killed replica held. */
  readonly held: Spread
  /** Until half of them ran elsewhere, and all: over the rounds, milliseconds. */
  readonly halfMs: Spread
  readonly allMs: Spread
}

const HELD = "select count(*)::int as n from node_status where owner = $1"
const LEFT = "select count(*)::int as n from node_status where owner = $1 or status <> 'running'"
const BOOT = "select boot from replicas where instance = $1 order by started_at desc limit 1"

/** `kill -9` of each replica in turn, until the rows of its nodes say that they run at others; nodes of the SDK, `open`. */
export const failover = async (postgres: Postgres, options: FailoverOptions): Promise<Failover> => {
  const { cluster, databaseUrl } = await startSite(postgres, options.replicas, "hints")
  using crowd = new StormCrowd({ nodes: options.nodes, processes: 1, level: "open", kind: "sdk" })
  const database = new pg.Client({ connectionString: databaseUrl })
  const first = async (sql: string, param: string) =>
    (await database.query<Record<string, unknown>>(sql, [param])).rows[0]!
  const count = async (sql: string, boot: string) => Number((await first(sql, boot))["n"])
  const rounds: Array<{ readonly held: number; readonly halfMs: number; readonly allMs: number }> = []
  try {
    await database.connect()
    await crowd.start(cluster.urls, cluster.serverKey)
    for (let round = 0; round < options.rounds; round++) {
      await crowd.speak()
      const victim = cluster.replicas[round % cluster.replicas.length]!
      const boot = String((await first(BOOT, `trailsd${(round % cluster.replicas.length) + 1}`))["boot"])
      await waitUntil("everybody runs", async () => (await count(LEFT, boot)) === (await count(HELD, boot)))
      const held = await count(HELD, boot)
      const from = performance.now()
      await victim.kill()
      let halfMs = 0
      await waitUntil(
        "its nodes run elsewhere",
        async () => {
          const left = await count(LEFT, boot)
          if (halfMs === 0 && left <= held / 2) halfMs = performance.now() - from
          return left === 0
        },
        { withinMs: WITHIN_MS, everyMs: LOOK_MS }
      )
      const allMs = performance.now() - from
      rounds.push({ held, halfMs, allMs })
      options.log(
        `round ${round + 1}: ${held} nodes, half of them elsewhere after ${Math.round(halfMs)} ms, all after ${Math.round(allMs)} ms`
      )
      await victim.start()
    }
    return {
      held: spreadOf(rounds.map(({ held }) => held)),
      halfMs: spreadOf(rounds.map(({ halfMs }) => halfMs)),
      allMs: spreadOf(rounds.map(({ allMs }) => allMs))
    }
  } finally {
    await database.end().catch(() => {})
    await cluster.dispose()
  }
}
