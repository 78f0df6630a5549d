import type { ChaosReport } from "./ChaosRun.ts"

const middle = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
const most = (values: ReadonlyArray<number>): number => Math.max(0, ...values)

const counts = (record: Readonly<Record<string, number>>, unit = ""): string =>
  Object.entries(record)
    .map(([name, count]) => `${Math.round(count)}${unit} ${name}`)
    .join(", ")

/** A line per kind of fault, and the sums. */
export const chaosText = (report: ChaosReport): string => {
  const { figures, verdict } = report
  const count = (...names: ReadonlyArray<string>) =>
    verdict.violations.filter(({ invariant }) => names.includes(invariant)).length
  const rows = [...figures].map(([kind, { failoverMs, wholeMs }]) => {
    const failover =
      failoverMs.length === 0 ? "" : `; failover median ${middle(failoverMs)} ms, worst ${most(failoverMs)} ms`
    return `${kind.padEnd(14)}${String(wholeMs.length).padStart(3)}  whole again median ${middle(wholeMs)} ms, worst ${most(wholeMs)} ms${failover}`
  })
  return [
    ...rows,
    `seed ${report.seed}, ${report.seconds.toFixed(0)} s; ${verdict.sent} sent, ${verdict.acked} acked, ${verdict.stored} stored`,
    `done: ${counts(report.errands)}; slowest: ${counts(report.worstErrandMs, " ms")}`,
    `lost ${count("P1 durable")}, twice ${count("P2 once")}, disorder ${count("order", "P4 one owner")}, ` +
      `final changed ${count("P9 final")}, other ${count("phantom", "status")}, false verdicts ${report.falseVerdicts}, ` +
      `forced in cascades ${report.forced}, other replicas that stepped down ${report.bystanders}`
  ].join("\n")
}
