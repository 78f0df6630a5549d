import { expect, it } from "vitest"
import { crashFailures, crashRun, reportLine } from "./CrashRun.ts"

const short = { nodes: 12, finishers: 4, minMessages: 4000, inFlight: 100, log: () => {} }

it("loses nothing that it acked when trailsd and Postgres are killed (P1, P2, P4, P9)", async () => {
  const report = await crashRun({
    ...short,
    seed: 7,
    embedded: false,
    minMs: 12_000,
    trailsdKills: 4,
    postgresKills: 1
  })
  console.log(reportLine(report))
  expect(crashFailures(report)).toEqual([])
  // What a finisher sends after its end is refused, and not acked.
  expect(report.verdict.sent).toBeGreaterThanOrEqual(4000)
  expect(report.verdict.acked).toBeGreaterThan(3900)
  expect(Math.min(...report.inFlightAtKill)).toBeGreaterThanOrEqual(100)
})

it("loses nothing that it acked when an embedded trailsd is killed (P1, P2, P4, P9)", async () => {
  const report = await crashRun({ ...short, seed: 8, embedded: true, minMs: 8000, trailsdKills: 3, postgresKills: 0 })
  console.log(reportLine(report))
  expect(crashFailures(report)).toEqual([])
  // What a finisher sends after its end is refused, and not acked.
  expect(report.verdict.sent).toBeGreaterThanOrEqual(4000)
  expect(report.verdict.acked).toBeGreaterThan(3900)
})
