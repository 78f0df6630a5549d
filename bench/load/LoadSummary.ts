import { Histogram } from "./Histogram.ts"
import type { LoadFlags } from "./LoadFlags.ts"
import type { Report } from "./Tally.ts"

/** The last line on stdout. `sent` = `acked` + `lost`. */
export interface LoadSummary {
  readonly ackedPerSecond: number
  /** From the first sending of a message to its ack, reconnections in between included. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly sent: number
  readonly acked: number
  readonly lost: number
  /** Nodes. */
  readonly refused: number
  readonly violations: number
  readonly reconnects: number
  readonly maxMs: number
  readonly interrupted: boolean
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000

export const summarize = (reports: ReadonlyArray<Report>, interrupted: boolean): LoadSummary => {
  const total = (pick: (report: Report) => number) => reports.reduce((sum, report) => sum + pick(report), 0)
  const latency = new Histogram()
  for (const report of reports) latency.add(report.latency)
  const elapsedMs = Math.max(0, ...reports.map((report) => report.elapsedMs))
  const sent = total((report) => report.sent)
  const acked = total((report) => report.acked)
  return {
    ackedPerSecond: elapsedMs === 0 ? 0 : Math.round((total((report) => report.ackedInTime) / elapsedMs) * 1000),
    p50Ms: rounded(latency.percentile(50)),
    p95Ms: rounded(latency.percentile(95)),
    p99Ms: rounded(latency.percentile(99)),
    sent,
    acked,
    lost: sent - acked,
    refused: total((report) => report.refused),
    violations: total((report) => report.violations),
    reconnects: total((report) => report.reconnects),
    maxMs: rounded(latency.maxMs),
    interrupted
  }
}

export const exitCodeOf = ({ lost, refused, violations }: LoadSummary): 0 | 1 =>
  lost > 0 || refused > 0 || violations > 0 ? 1 : 0

/** For people. */
export const describe = (summary: LoadSummary, flags: LoadFlags): string => {
  const kind = flags.legacy ? "legacy" : flags.level
  const { acked, ackedPerSecond, lost, maxMs, p50Ms, p95Ms, p99Ms, reconnects, refused, sent, violations } = summary
  return [
    `${flags.nodes} nodes (${kind}, ${flags.processes} process${flags.processes === 1 ? "" : "es"}, ${flags.window} unacked each): ${ackedPerSecond} acked/s${summary.interrupted ? ", interrupted" : ""}`,
    `send to ack: p50 ${p50Ms} ms, p95 ${p95Ms} ms, p99 ${p99Ms} ms, longest ${maxMs} ms`,
    `${sent} sent, ${acked} acked, ${lost} lost; ${refused} nodes refused, ${violations} violations, ${reconnects} reconnects`
  ].join("\n")
}

/** What went wrong on the way, the most frequent first: one line each. */
export const problemsOf = (reports: ReadonlyArray<Report>): ReadonlyArray<string> => {
  const counts = new Map<string, number>()
  for (const { problems } of reports)
    for (const [text, count] of problems) counts.set(text, (counts.get(text) ?? 0) + count)
  return [...counts].sort(([, a], [, b]) => b - a).map(([text, count]) => `${count} × ${text}`)
}
