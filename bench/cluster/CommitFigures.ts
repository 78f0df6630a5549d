import { cpus } from "node:os"
import { type Metrics, metric, readMetrics } from "../../test/harness/Metrics.ts"

/** Where a run's time went, over all replicas. */
export interface CommitFigures {
  /** Writes that shared a commit, mean. */
  readonly writesPerCommit: number
  /** From the start of an append to its commit, its waiting for other replicas' commits included; mean, milliseconds. */
  readonly commitMs: number
  /** Processors of the machine that nobody used. */
  readonly idleCores: number
}

const idleMs = (): number => cpus().reduce((sum, { times }) => sum + times.idle, 0)

/** What `run` answers, and how the commits of these replicas went meanwhile. */
export const withCommitFigures = async <A>(
  https: ReadonlyArray<string>,
  run: () => Promise<A>
): Promise<readonly [A, CommitFigures]> => {
  const before = await Promise.all(https.map(readMetrics))
  const idle = idleMs()
  const from = performance.now()
  const result = await run()
  const idleCores = (idleMs() - idle) / (performance.now() - from)
  const after = await Promise.all(https.map(readMetrics))
  const grown = (name: string): number => {
    const total = (pages: ReadonlyArray<Metrics>) =>
      pages.reduce((sum, page) => sum + metric(page, `trails_${name}`), 0)
    return total(after) - total(before)
  }
  const figures = {
    writesPerCommit: grown("append_batch_size_sum") / grown("append_batch_size_count"),
    commitMs: (grown("append_seconds_sum") / grown("append_seconds_count")) * 1000,
    idleCores
  }
  return [result, figures]
}
