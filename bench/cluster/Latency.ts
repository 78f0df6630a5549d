import { percentile, type Spread, spreadOf } from "../spread.ts"

/** Of one way, over the rounds. Milliseconds. */
export interface Latency {
  readonly p50: Spread
  readonly p99: Spread
  readonly max: number
}

/** `rounds`: what each single one of a round took. */
export const latencyOf = (rounds: ReadonlyArray<ReadonlyArray<number>>): Latency => {
  const sorted = rounds.map((taken) => Float64Array.from(taken).sort())
  return {
    p50: spreadOf(sorted.map((taken) => percentile(taken, 50))),
    p99: spreadOf(sorted.map((taken) => percentile(taken, 99))),
    max: Math.max(...rounds.flat())
  }
}

const show = ({ high, low, median }: Spread): string => `${median.toFixed(1)} (${low.toFixed(1)} … ${high.toFixed(1)})`

export const showLatency = ({ max, p50, p99 }: Latency): string =>
  `p50 ${show(p50)} ms, p99 ${show(p99)} ms, max ${max.toFixed(1)} ms`
