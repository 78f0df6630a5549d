import { join } from "node:path"
import { metric, readMetrics } from "../harness/Metrics.ts"
import type { Trailsd } from "../harness/Trailsd.ts"

const STALL = `trails_loop_delay_seconds{quantile="max"}`

export interface Stall {
  /** Longest block of the server's event loop, milliseconds, by its own metric. */
  readonly longestStallMs: number
  /** CPU time of the server's main thread in the longest block: the rest of it others had the processors. */
  readonly stallCpuMs: number
}

export const stallText = ({ longestStallMs, stallCpuMs }: Stall): string =>
  `${longestStallMs} ms (cpu ${stallCpuMs} ms)`

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

/** The longest standstill of a server's event loop from `begin` to `end`; the server may be another process by then. */
export class StallWatch {
  /** For Node, at the start of the server. */
  static readonly flags: ReadonlyArray<string> = ["--import", join(import.meta.dirname, "loopWatch.ts")]

  readonly #server: Trailsd
  readonly #earlier: number

  private constructor(server: Trailsd) {
    this.#server = server
    this.#earlier = standstills(server.output).length
  }

  static async begin(server: Trailsd): Promise<StallWatch> {
    // The maximum is that since the last look.
    await readMetrics(server.http)
    return new StallWatch(server)
  }

  async end(): Promise<Stall> {
    const longestStallMs = Math.round(metric(await readMetrics(this.#server.http), STALL) * 1000)
    // The watch counts from the first moment of a process, the metric from when there is telemetry.
    const off = (one: Standstill) => Math.abs(one.wallMs - longestStallMs)
    const longest = standstills(this.#server.output)
      .slice(this.#earlier)
      .reduce((one, other) => (off(other) < off(one) ? other : one), { wallMs: 0, cpuMs: 0 })
    return { longestStallMs, stallCpuMs: longest.cpuMs }
  }
}
