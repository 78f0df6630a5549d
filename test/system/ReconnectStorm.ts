import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import type { Level } from "../../src/protocol/Frames.ts"
import { metric, readMetrics } from "../harness/Metrics.ts"
import { queryPostgres } from "../harness/StoredState.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"
import type { StormCommand, StormCount } from "./stormClients.ts"

export interface StormOptions {
  readonly databaseUrl: string
  readonly clients: number
  /** Client processes; a process may hold 20,000 descriptors at most. */
  readonly processes: number
  readonly level: Level
  /** `raw`: they dial again at once, as no decent client does. `sdk`: by the client's own pauses. */
  readonly kind: "raw" | "sdk"
  readonly log: (line: string) => void
}

export interface StormReport {
  readonly clients: number
  readonly level: Level
  /** The sockets were cut at once, the server stayed up. */
  readonly cut: StormPhase
  /** The server was killed with -9 and started again. */
  readonly killed: StormPhase
}

export interface StormPhase {
  /** Longest block of the server's event loop, milliseconds, by its own metric. */
  readonly longestStallMs: number
  /** CPU time of the server's main thread in the longest block: the rest of it others had the processors. */
  readonly stallCpuMs: number
  /** From the moment of the cut, or of the server's readiness, until all were attached. */
  readonly attachedMs: number
  /** Nodes with a verdict in their log since the beginning. */
  readonly verdicts: number
  readonly failures: Readonly<Record<string, number>>
}

const STALL = `trails_loop_delay_seconds{quantile="max"}`
const LIMIT_MS = 120_000

interface Standstill {
  readonly wallMs: number
  readonly cpuMs: number
}

/** What `loopWatch.ts` has printed. */
const standstills = (output: string): ReadonlyArray<Standstill> =>
  [...output.matchAll(/^loop stood still for (\d+) ms, cpu (\d+) ms$/gm)].map(([, wallMs, cpuMs]) => ({
    wallMs: Number(wallMs),
    cpuMs: Number(cpuMs)
  }))

class Clients {
  readonly #children: ReadonlyArray<ChildProcess>

  constructor(processes: number, kind: StormOptions["kind"]) {
    const script = join(import.meta.dirname, kind === "raw" ? "stormClients.ts" : "stormSdk.ts")
    this.#children = Array.from({ length: processes }, () => fork(script))
  }

  async tell(command: StormCommand): Promise<StormCount> {
    const counts = await Promise.all(
      this.#children.map(async (child) => {
        const answer = once(child, "message") as Promise<[StormCount]>
        child.send(command)
        return (await answer)[0]
      })
    )
    const failures: Record<string, number> = {}
    for (const one of counts) {
      for (const [reason, times] of Object.entries(one.failures)) failures[reason] = (failures[reason] ?? 0) + times
    }
    const sum = (pick: (one: StormCount) => number) => counts.reduce((total, one) => total + pick(one), 0)
    return {
      attached: sum((one) => one.attached),
      unacked: sum((one) => one.unacked),
      reconnects: sum((one) => one.reconnects),
      failures
    }
  }

  stop(): void {
    for (const child of this.#children) child.disconnect()
  }
}

const VERDICTS = "SELECT count(DISTINCT app_id)::int AS n FROM node_log WHERE kind IN ('crash', 'lost_contact')"

/** Thousands of nodes lose their sockets at the same moment and come back as fast as they can. */
export const reconnectStorm = async (options: StormOptions): Promise<StormReport> => {
  const { clients: total, databaseUrl, level, log } = options
  const server = await Trailsd.start({
    databaseUrl,
    nodeFlags: ["--import", join(import.meta.dirname, "loopWatch.ts")]
  })
  const clients = new Clients(options.processes, options.kind)
  const allBack = async (reconnects: number) =>
    await waitUntil(
      "all clients are attached",
      async () => {
        const now = await clients.tell({ do: "count" })
        return now.attached === total && now.reconnects >= reconnects && now
      },
      { withinMs: LIMIT_MS, everyMs: 100 }
    )
  const phase = async (disturb: () => Promise<number>, reconnects: number): Promise<StormPhase> => {
    const before = await clients.tell({ do: "count" })
    metric(await readMetrics(server.http), STALL)
    const earlier = standstills(server.output).length
    const from = await disturb()
    const after = await allBack(reconnects)
    const attachedMs = Math.round(performance.now() - from)
    const longestStallMs = Math.round(metric(await readMetrics(server.http), STALL) * 1000)
    // The watch counts from the first moment of a process, the metric from when there is telemetry.
    const off = (one: Standstill) => Math.abs(one.wallMs - longestStallMs)
    const longest = standstills(server.output)
      .slice(earlier)
      .reduce((one, other) => (off(other) < off(one) ? other : one), { wallMs: 0, cpuMs: 0 })
    await clients.tell({ do: "send" })
    await waitUntil("every node is heard", async () => (await clients.tell({ do: "count" })).unacked === 0, {
      withinMs: LIMIT_MS,
      everyMs: 100
    })
    const failures = Object.fromEntries(
      Object.entries(after.failures)
        .map(([reason, n]) => [reason, n - (before.failures[reason] ?? 0)])
        .filter(([, n]) => n !== 0)
    )
    const [row] = await queryPostgres(databaseUrl, VERDICTS)
    return { longestStallMs, stallCpuMs: longest.cpuMs, attachedMs, verdicts: Number(row?.n), failures }
  }
  try {
    await clients.tell({
      do: "start",
      url: server.url,
      level,
      count: total / options.processes,
      serverSeed: server.serverKey.secretKey.export({ format: "der", type: "pkcs8" }).subarray(-32).toString("base64"),
      pingIntervalMs: 30_000,
      width: Math.ceil(400 / options.processes)
    })
    await allBack(0)
    log(`${total} nodes attached`)
    const cut = await phase(async () => {
      const from = performance.now()
      await clients.tell({ do: "cut" })
      return from
    }, total)
    log(`cut: ${JSON.stringify(cut)}`)
    const killed = await phase(async () => {
      await server.kill()
      await server.start()
      return performance.now()
    }, total * 2)
    log(`killed: ${JSON.stringify(killed)}`)
    return { clients: total, level, cut, killed }
  } catch (cause) {
    throw new Error(`the storm broke off; trailsd said:\n${server.output.slice(-3000)}`, { cause })
  } finally {
    clients.stop()
    await server.dispose()
  }
}

const stallText = ({ longestStallMs, stallCpuMs }: StormPhase): string => `${longestStallMs} ms (cpu ${stallCpuMs} ms)`

export const stormLine = ({ clients, cut, killed, level }: StormReport): string =>
  `reconnect storm: ${clients} nodes (${level}); cut: attached after ${cut.attachedMs} ms, longest stall ${stallText(cut)}; ` +
  `server killed: attached ${killed.attachedMs} ms after its readiness, longest stall ${stallText(killed)}; ` +
  `verdicts ${killed.verdicts}`

export const stormFailures = (report: StormReport, stallMs = 500): ReadonlyArray<string> =>
  [report.cut, report.killed].flatMap((phase) => [
    ...(phase.longestStallMs > stallMs ? [`the event loop stood still for ${phase.longestStallMs} ms`] : []),
    ...(phase.verdicts > 0 ? [`${phase.verdicts} nodes were declared dead`] : [])
  ])
