import type { Level } from "../../src/protocol/Frames.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { type Stall, stallText, StallWatch } from "./StallWatch.ts"
import { failuresBetween, StormCrowd, type StormCrowdOptions } from "./StormCrowd.ts"

export interface StormOptions extends StormCrowdOptions {
  readonly databaseUrl: string
  readonly log: (line: string) => void
}

export interface StormReport {
  readonly nodes: number
  readonly level: Level
  /** The sockets were cut at once, the server stayed up. */
  readonly cut: StormPhase
  /** The server was killed with -9 and started again. */
  readonly killed: StormPhase
}

export interface StormPhase extends Stall {
  /** From the moment of the cut, or of the server's readiness, until all were attached. */
  readonly attachedMs: number
  /** Nodes with a verdict in their log since the beginning. */
  readonly verdicts: number
  readonly failures: Readonly<Record<string, number>>
}

const VERDICTS = "SELECT count(DISTINCT app_id)::int AS n FROM node_log WHERE kind IN ('crash', 'lost_contact')"

/** Nodes that somebody has called dead. */
export const countVerdicts = async (databaseUrl: string): Promise<number> =>
  Number((await queryPostgres(databaseUrl, VERDICTS))[0]?.n)

/** Thousands of nodes lose their sockets at the same moment and come back as fast as they can. */
export const reconnectStorm = async (options: StormOptions): Promise<StormReport> => {
  const { databaseUrl, level, log } = options
  const server = await Trailsd.start({ databaseUrl, nodeFlags: StallWatch.flags })
  using crowd = new StormCrowd(options)
  const phase = async (disturb: () => Promise<number>, reconnects: number): Promise<StormPhase> => {
    const before = await crowd.tell({ do: "count" })
    const watch = await StallWatch.begin(server)
    const from = await disturb()
    const after = await crowd.allBack(reconnects)
    const attachedMs = Math.round(performance.now() - from)
    const stall = await watch.end()
    await crowd.speak()
    const verdicts = await countVerdicts(databaseUrl)
    return { ...stall, attachedMs, verdicts, failures: failuresBetween(before, after) }
  }
  try {
    await crowd.start([server.url], server.serverKey)
    log(`${crowd.size} nodes attached`)
    const cut = await phase(async () => {
      const from = performance.now()
      await crowd.tell({ do: "cut" })
      return from
    }, crowd.size)
    log(`cut: ${JSON.stringify(cut)}`)
    const killed = await phase(async () => {
      await server.kill()
      await server.start()
      return performance.now()
    }, crowd.size * 2)
    log(`killed: ${JSON.stringify(killed)}`)
    return { nodes: crowd.size, level, cut, killed }
  } catch (cause) {
    throw new Error(`the storm broke off; trailsd said:\n${server.output.slice(-3000)}`, { cause })
  } finally {
    await server.dispose()
  }
}

export const stormLine = ({ cut, killed, level, nodes }: StormReport): string =>
  `reconnect storm: ${nodes} nodes (${level}); cut: attached after ${cut.attachedMs} ms, longest stall ${stallText(cut)}; ` +
  `server killed: attached ${killed.attachedMs} ms after its readiness, longest stall ${stallText(killed)}; ` +
  `verdicts ${killed.verdicts}`

export const stormFailures = (report: StormReport, stallMs = 500): ReadonlyArray<string> =>
  [report.cut, report.killed].flatMap((phase) => [
    ...(phase.longestStallMs > stallMs ? [`the event loop stood still for ${phase.longestStallMs} ms`] : []),
    ...(phase.verdicts > 0 ? [`${phase.verdicts} nodes were declared dead`] : [])
  ])
