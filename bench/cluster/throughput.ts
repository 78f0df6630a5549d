import type { Level } from "../../src/protocol/Frames.ts"
import type { Postgres } from "../../test/harness/Postgres.ts"
import { AckDriver, type RunResult } from "../AckDriver.ts"
import { showSpread, type Spread, spreadOf } from "../spread.ts"
import { type CommitFigures, withCommitFigures } from "./CommitFigures.ts"
import { type Over, type Site, startSite } from "./startSite.ts"

const WARM_UP_S = 1

export interface ThroughputOptions {
  readonly level: Level
  readonly nodes: number
  readonly window: number
  readonly rounds: number
  readonly seconds: number
  /** Up to so many replicas. */
  readonly replicas: number
  readonly log: (line: string) => void
}

export interface Throughput {
  readonly replicas: number
  readonly over: Over
  /** Acked Status per second. */
  readonly perSecond: Spread
  /** To one replica, round by round. */
  readonly ratio: Spread
  readonly p99Ms: Spread
  /** Processors that the driver had. */
  readonly driverCores: Spread
  readonly writesPerCommit: Spread
  readonly commitMs: Spread
  readonly idleCores: Spread
}

interface Contender {
  readonly over: Over
  readonly site: Site
  readonly driver: AckDriver
  readonly results: Array<RunResult & CommitFigures>
}

/**
 * The same nodes at 1, 2, … replicas, all of them up all the time, measured in turn. The most once more without NATS,
 * and once with a JetStream to which tree events go: what that brings or costs.
 */
export const throughput = async (
  postgres: Postgres,
  options: ThroughputOptions
): Promise<ReadonlyArray<Throughput>> => {
  const contenders: Array<Contender> = []
  try {
    const plans = [
      ...Array.from({ length: options.replicas }, (_, index) => ({ replicas: index + 1, over: "hints" as const })),
      { replicas: options.replicas, over: "nothing" as const },
      { replicas: options.replicas, over: "events" as const }
    ]
    for (const { over, replicas } of plans) {
      const site = await startSite(postgres, replicas, over)
      const { serverKey, urls } = site.cluster
      const { level, nodes, window } = options
      const driver = await AckDriver.connect({ urls, serverKey, level, nodes, window }).catch(
        async (error: unknown) => {
          await site.cluster.dispose()
          throw error
        }
      )
      contenders.push({ over, site, driver, results: [] })
    }
    for (let round = 0; round < options.rounds; round++) {
      // Taking turns at who goes first: what the machine does meanwhile must not favour one of them.
      for (const { driver, over, results, site } of round % 2 === 0 ? contenders : contenders.toReversed()) {
        const https = site.cluster.replicas.map(({ http }) => http)
        const [result, figures] = await withCommitFigures(https, () => driver.run(options.seconds, WARM_UP_S))
        results.push({ ...result, ...figures })
        options.log(
          `round ${round + 1}, ${nameOf(site.cluster.replicas.length, over)}: ${Math.round(result.perSecond)} acked/s, ` +
            `p99 ${result.p99Ms.toFixed(1)} ms, the driver had ${result.driverCores.toFixed(2)} processors, ` +
            `${figures.idleCores.toFixed(2)} were idle, ${figures.writesPerCommit.toFixed(1)} writes a commit, ` +
            `${figures.commitMs.toFixed(1)} ms each`
        )
      }
    }
    const alone = contenders[0]!.results
    return contenders.map(({ over, results, site }) => ({
      replicas: site.cluster.replicas.length,
      over,
      perSecond: spreadOf(results.map(({ perSecond }) => perSecond)),
      ratio: spreadOf(results.map(({ perSecond }, round) => perSecond / alone[round]!.perSecond)),
      p99Ms: spreadOf(results.map(({ p99Ms }) => p99Ms)),
      driverCores: spreadOf(results.map(({ driverCores }) => driverCores)),
      writesPerCommit: spreadOf(results.map(({ writesPerCommit }) => writesPerCommit)),
      commitMs: spreadOf(results.map(({ commitMs }) => commitMs)),
      idleCores: spreadOf(results.map(({ idleCores }) => idleCores))
    }))
  } finally {
    for (const { driver, site } of contenders) {
      await driver.close()
      await site.cluster.dispose()
    }
  }
}

const NAMES: Readonly<Record<Over, string>> = { nothing: " without NATS", hints: "", events: " that publish events" }

const nameOf = (replicas: number, over: Over): string => `${replicas} replica${replicas === 1 ? "" : "s"}${NAMES[over]}`

export const showThroughput = ({
  commitMs,
  idleCores,
  over,
  p99Ms,
  perSecond,
  ratio,
  replicas,
  writesPerCommit
}: Throughput): string =>
  `${nameOf(replicas, over)}: ${showSpread(perSecond)} acked/s, ${ratio.median.toFixed(2)} ` +
  `(${ratio.low.toFixed(2)} … ${ratio.high.toFixed(2)}) of one, p99 ${showSpread(p99Ms)} ms, ` +
  `${writesPerCommit.median.toFixed(1)} writes a commit, ${commitMs.median.toFixed(1)} ms each, ` +
  `${idleCores.median.toFixed(2)} processors idle`
