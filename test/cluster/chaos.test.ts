import { expect, it } from "vitest"
import { allFaultKinds } from "./ChaosFault.ts"
import { chaosRun } from "./ChaosRun.ts"
import { chaosText } from "./ChaosText.ts"

const FAULTS = 3
/** While a replica sleeps for ten leases there is time for these. */
const aside = ["kill-nats", "cut-nats", "delay", "loss"] as const

it("three faults of each kind: nothing acked is lost or stored twice, and everything completes (P1, P2, P4, P8, P9, P20)", async () => {
  const lines: Array<string> = []
  const report = await chaosRun({
    seed: 6,
    faults: FAULTS,
    kinds: allFaultKinds,
    aside,
    nodes: 40,
    rate: 150,
    leaseMs: 1000,
    limitMs: 240_000,
    minAcks: 0,
    log: (line) => lines.push(line)
  })
  console.log([...lines, chaosText(report)].join("\n"))
  expect(report.failures).toEqual([])
  expect([...report.figures.values()].map(({ wholeMs }) => wholeMs.length)).toEqual(allFaultKinds.map(() => FAULTS))
  expect(report.verdict.acked).toBeGreaterThan(1000)
  expect(Math.min(...Object.values(report.errands))).toBeGreaterThan(0)
}, 300_000)
